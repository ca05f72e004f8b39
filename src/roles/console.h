/*
 * console.h - the role that faces browsers and collectors. Now: Prometheus' text format on /metrics
 * and a plain "ok" on /health, on the loopback listener of the configuration (metrics).
 *
 * The pages and the JSON API for administrators come into this role; the listener for collectors
 * stays apart from theirs.
 */
#ifndef POSTERN_ROLES_CONSOLE_H
#define POSTERN_ROLES_CONSOLE_H

#include "base/buf.h"
#include "roles/role.h"

extern const struct role_definition console_role;

/*
 * Writes a status report in Prometheus' text exposition format 0.0.4: one postern_<name> a metric,
 * labelled with role and instance. STATUS_LIMIT when out is full.
 */
[[nodiscard]] enum status console_write_metrics(const struct msg_status_report *report,
                                                struct buf *out);

#endif
