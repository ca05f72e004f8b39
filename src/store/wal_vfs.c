#include "store/wal_vfs.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define VFS_NAME            "postern-wal"
/* The file format of the log: sqlite.org/fileformat2.html, "WAL Frame Header". */
#define FRAME_HEADER_SIZE   24
#define FRAME_COMMIT_OFFSET 4

/* SQLite's own VFS takes less than 128 KiB in one call. */
#define WRITE_MAX (64u * 1024u)

struct wal_file {
    sqlite3_file base; /* first: SQLite sees this */
    sqlite3_file *real;
    char *gathered; /* WAL_VFS_GATHER_MAX octets, made when first needed */
    size_t count;
    sqlite3_int64 offset; /* where they belong */
    bool commit;          /* the header of a committing frame is the last thing written */
    bool lost;            /* what stood at lost_offset could not be written */
    sqlite3_int64 lost_offset;
};

static struct wal_file *
wal_file(sqlite3_file *file)
{
    return (struct wal_file *)file;
}

static int
flush(struct wal_file *wal)
{
    if (wal->count == 0) {
        return SQLITE_OK;
    }
    int code = SQLITE_OK;
    for (size_t done = 0; code == SQLITE_OK && done < wal->count; done += WRITE_MAX) {
        size_t left = wal->count - done;
        code = wal->real->pMethods->xWrite(wal->real, wal->gathered + done,
                                           (int)(left < WRITE_MAX ? left : WRITE_MAX),
                                           wal->offset + (sqlite3_int64)done);
    }
    if (code != SQLITE_OK) {
        wal->lost = true;
        wal->lost_offset = wal->offset;
    }
    wal->count = 0;
    return code;
}

static int
wal_close(sqlite3_file *file)
{
    struct wal_file *wal = wal_file(file);
    int flushed = flush(wal);
    int closed = wal->real->pMethods->xClose(wal->real);
    free(wal->gathered);
    wal->gathered = NULL;
    return flushed != SQLITE_OK ? flushed : closed;
}

static int
wal_read(sqlite3_file *file, void *to, int size, sqlite3_int64 offset)
{
    struct wal_file *wal = wal_file(file);
    int code = flush(wal);
    return code != SQLITE_OK ? code : wal->real->pMethods->xRead(wal->real, to, size, offset);
}

static bool
frame_commits(const void *octets, int size)
{
    static const char zero[4];
    return size == FRAME_HEADER_SIZE &&
           memcmp((const char *)octets + FRAME_COMMIT_OFFSET, zero, sizeof zero) != 0;
}

static int
wal_write(sqlite3_file *file, const void *octets, int size, sqlite3_int64 offset)
{
    struct wal_file *wal = wal_file(file);
    bool const completes = wal->commit; /* this is the page of a committing frame */
    bool const follows = wal->count > 0 && offset == wal->offset + (sqlite3_int64)wal->count &&
                         wal->count + (size_t)size <= WAL_VFS_GATHER_MAX;
    int code = follows ? SQLITE_OK : flush(wal);
    /*
     * Nothing may be written behind a hole, whoever was told of the failure: the transaction that
     * has lost its frames must not commit. The next one begins at the hole, or before it, and fills
     * it.
     */
    if (wal->lost && offset > wal->lost_offset) {
        wal->commit = false;
        return SQLITE_IOERR_WRITE;
    }
    wal->lost = wal->lost && code != SQLITE_OK;
    wal->commit = frame_commits(octets, size);
    if (wal->gathered == NULL) {
        wal->gathered = malloc(WAL_VFS_GATHER_MAX);
    }
    if (code != SQLITE_OK || wal->gathered == NULL || (size_t)size > WAL_VFS_GATHER_MAX) {
        return code != SQLITE_OK ? code
                                 : wal->real->pMethods->xWrite(wal->real, octets, size, offset);
    }
    if (wal->count == 0) {
        wal->offset = offset;
    }
    memcpy(wal->gathered + wal->count, octets, (size_t)size);
    wal->count += (size_t)size;
    return completes ? flush(wal) : SQLITE_OK;
}

static int
wal_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct wal_file *wal = wal_file(file);
    int code = flush(wal);
    return code != SQLITE_OK ? code : wal->real->pMethods->xTruncate(wal->real, size);
}

static int
wal_sync(sqlite3_file *file, int flags)
{
    struct wal_file *wal = wal_file(file);
    int code = flush(wal);
    return code != SQLITE_OK ? code : wal->real->pMethods->xSync(wal->real, flags);
}

static int
wal_size(sqlite3_file *file, sqlite3_int64 *size_out)
{
    struct wal_file *wal = wal_file(file);
    int code = flush(wal);
    return code != SQLITE_OK ? code : wal->real->pMethods->xFileSize(wal->real, size_out);
}

static int
wal_lock(sqlite3_file *file, int level)
{
    return wal_file(file)->real->pMethods->xLock(wal_file(file)->real, level);
}

static int
wal_unlock(sqlite3_file *file, int level)
{
    return wal_file(file)->real->pMethods->xUnlock(wal_file(file)->real, level);
}

static int
wal_check_lock(sqlite3_file *file, int *result_out)
{
    return wal_file(file)->real->pMethods->xCheckReservedLock(wal_file(file)->real, result_out);
}

static int
wal_control(sqlite3_file *file, int operation, void *argument)
{
    return wal_file(file)->real->pMethods->xFileControl(wal_file(file)->real, operation, argument);
}

static int
wal_sector_size(sqlite3_file *file)
{
    return wal_file(file)->real->pMethods->xSectorSize(wal_file(file)->real);
}

static int
wal_characteristics(sqlite3_file *file)
{
    return wal_file(file)->real->pMethods->xDeviceCharacteristics(wal_file(file)->real);
}

/* Version 1: a log has no shared memory and is never mapped. */
static const sqlite3_io_methods wal_methods = {
    .iVersion = 1,
    .xClose = wal_close,
    .xRead = wal_read,
    .xWrite = wal_write,
    .xTruncate = wal_truncate,
    .xSync = wal_sync,
    .xFileSize = wal_size,
    .xLock = wal_lock,
    .xUnlock = wal_unlock,
    .xCheckReservedLock = wal_check_lock,
    .xFileControl = wal_control,
    .xSectorSize = wal_sector_size,
    .xDeviceCharacteristics = wal_characteristics,
};

static sqlite3_vfs *
system_vfs(sqlite3_vfs *vfs)
{
    return vfs->pAppData;
}

/* Only logs get the layer; every other file is opened in its place by the system's VFS. */
static int
vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *flags_out)
{
    sqlite3_vfs *real = system_vfs(vfs);
    if ((flags & SQLITE_OPEN_WAL) == 0) {
        return real->xOpen(real, name, file, flags, flags_out);
    }
    struct wal_file *wal = wal_file(file);
    memset(wal, 0, sizeof *wal);
    wal->real = (sqlite3_file *)(wal + 1);
    int code = real->xOpen(real, name, wal->real, flags, flags_out);
    if (wal->real->pMethods != NULL) {
        wal->base.pMethods = &wal_methods;
    }
    return code;
}

static const char *registered;

static void
register_once(void)
{
    static sqlite3_vfs layer;
    /* Nobody asks how much SQLite has allocated, and to count it costs two locks each time. */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* before SQLite begins */
    sqlite3_vfs *real = sqlite3_vfs_find(NULL);
    if (real == NULL) {
        return;
    }
    /* All but xOpen is the system's: its functions never look at the sqlite3_vfs they are given. */
    layer = *real;
    layer.zName = VFS_NAME;
    layer.szOsFile = (int)sizeof(struct wal_file) + real->szOsFile;
    layer.pNext = NULL;
    layer.pAppData = real;
    layer.xOpen = vfs_open;
    if (sqlite3_vfs_register(&layer, 0) == SQLITE_OK) {
        registered = VFS_NAME;
    }
}

const char *
wal_vfs_name(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_once);
    return registered;
}
