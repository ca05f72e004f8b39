#include "roles/edge/certificates.h"

#include <stdlib.h>
#include <unistd.h>

#include "ipc/body.h"

static void
item_fini(struct certificate_item *item)
{
    tls_identity_unref(&item->identity);
    free(item->name);
}

void
certificate_store_fini(struct certificate_store *store)
{
    for (size_t i = 0; i < store->count; i++) {
        item_fini(&store->items[i]);
    }
    free(store->items);
    *store = (struct certificate_store){.items = NULL};
}

static struct certificate_item *
store_find(struct certificate_store *store, struct str name)
{
    for (size_t i = 0; i < store->count; i++) {
        if (str_eq(str_from_cstr(store->items[i].name), name)) {
            return &store->items[i];
        }
    }
    return NULL;
}

/* A new item without identity; NULL past the bound. */
static struct certificate_item *
store_add(struct certificate_store *store, struct str name)
{
    /* A reload may bring a whole new set beside the old one. */
    if (store->count >= 2 * CERTIFICATES_MAX) {
        return NULL;
    }
    struct certificate_item *items = realloc(store->items, (store->count + 1) * sizeof *items);
    char *copy = strndup(name.p, name.n);
    if (items == NULL || copy == NULL) {
        abort();
    }
    store->items = items;
    items[store->count] = (struct certificate_item){.name = copy};
    return &items[store->count++];
}

void
certificate_store_take(struct certificate_store *store, struct str name, int chain_fd,
                       const struct tls_signer *signer)
{
    char error[TLS_ERROR_MAX] = "too many certificates";
    struct arena *arena = arena_create(TLS_PEM_MAX + 4096);
    struct str chain = ipc_memfd_read(arena, chain_fd, TLS_PEM_MAX);
    struct tls_identity *identity = NULL;
    enum status status = tls_identity_parse_remote(chain, signer, &identity, error);
    arena_destroy(&arena);
    close(chain_fd);
    struct certificate_item *item = store_find(store, name);
    if (status == STATUS_OK && item == NULL) {
        item = store_add(store, name);
    }
    if (item != NULL) {
        item->offered = true;
    }
    if (status != STATUS_OK || item == NULL) {
        LOG_ERROR("a certificate cannot be used", LOG_STR("certificate", name),
                  LOG_CSTR("reason", error));
        tls_identity_unref(&identity);
        return;
    }
    tls_identity_unref(&item->identity);
    item->identity = identity;
}

/* Drops what the parent did not hand out for this generation. */
static void
store_prune(struct certificate_store *store)
{
    size_t kept = 0;
    for (size_t i = 0; i < store->count; i++) {
        if (store->items[i].offered) {
            store->items[kept] = store->items[i];
            store->items[kept++].offered = false;
        } else {
            item_fini(&store->items[i]);
        }
    }
    store->count = kept;
}

size_t
certificate_store_select(struct certificate_store *store, const struct config *config,
                         struct tls_identity *identities_out[static CERTIFICATES_MAX])
{
    const struct config_certificates *wanted = &config->tls.certificates;
    size_t count = 0;
    store_prune(store);
    if (wanted->count == 0) {
        for (; count < store->count && count < CERTIFICATES_MAX; count++) {
            identities_out[count] = store->items[count].identity;
        }
        return count;
    }
    for (size_t i = 0; i < wanted->count && count < CERTIFICATES_MAX; i++) {
        struct certificate_item *item = store_find(store, wanted->items[i].certificate);
        if (item != NULL) {
            identities_out[count++] = item->identity;
        }
    }
    return count;
}
