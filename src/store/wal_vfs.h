/*
 * wal_vfs.h - lets SQLite write a transaction's part of the write-ahead log in one call.
 *
 * SQLite writes each frame of the log with two calls, a header of 24 octets and a page: for a batch
 * of forty messages that is several hundred system calls, more than all else the queue does. This
 * layer over the system's own VFS gathers them and writes them together when the frame that commits
 * the transaction is complete, before SQLite goes on to sync or to publish it. Nothing else
 * changes: order, content and the moment of fsync are SQLite's own, and an error of the delayed
 * write is the error of the call that completes the transaction.
 */
#ifndef POSTERN_STORE_WAL_VFS_H
#define POSTERN_STORE_WAL_VFS_H

/* Most octets gathered; what is over is written at once. */
#define WAL_VFS_GATHER_MAX (1u << 20)

/*
 * Makes the layer known to SQLite, once a process, and returns the name to pass to sqlite3_open_v2;
 * NULL (the system's own VFS) when SQLite has no memory for it. Thread-safe.
 */
const char *wal_vfs_name(void);

#endif
