/*
 * parent.h - `postern run`: starts the roles, keeps them running, reloads, stops.
 *
 * The parent keeps the rights it was started with, and therefore parses nothing that came from a
 * network: it reads its configuration, its certificates and the fixed-form messages of its roles.
 * SIGHUP (or `postern reload`) reloads, SIGTERM and SIGINT stop in order: first who takes mail in,
 * last who writes the trace.
 */
#ifndef POSTERN_ROLES_PARENT_PARENT_H
#define POSTERN_ROLES_PARENT_PARENT_H

/* Runs in the foreground with the configuration file; returns the exit status of the program. */
int parent_main(const char *config_file);

#endif
