/*
 * A request to the admin endpoint, as far as our own code reads it: who asks, what for, and the order. Texts are separated by NULs: method,
 * path, Host, Origin, Authorization, Content-Type, then name and value of one argument after the other up to an empty name, then the body.
 */
#include "admin_request.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *at, *end;

/* NULL: there is no more. */
static const char *next_text(void)
{
    const char *text = at;

    if (at == end)
        return NULL;
    at += strlen(at);
    at += at < end; /* the last byte is a NUL of ours */
    return text;
}

static void check_order(const struct admin_order *order)
{
    if (order->path_count < 0 || order->path_count > SETTINGS_PATHS_MAX || order->len > ADMIN_PATHS_SIZE)
        abort();
    for (int i = 0; i < order->path_count; i++)
        if (order->paths[i] < order->text ||
            order->paths[i] + strlen(order->paths[i]) >= order->text + order->len || *order->paths[i] == '\0')
            abort();
}

static void take_order(enum admin_route route)
{
    static struct admin_order order;
    const char *name, *value;

    order = (struct admin_order){.dry_run = false};
    while ((name = next_text()) != NULL && *name != '\0') {
        value = next_text();
        admin_order_argument(&order, route, name, value != NULL && *value == '-' ? NULL : value);
        check_order(&order);
    }
    admin_order_body(&order, route, at, (size_t)(end - at));
    check_order(&order);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct wire_admin guard = {
        .hosts = "admin.example, app",
        .token = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b", /* "secret" */
    };
    struct admin_refusal refusal = {.status = 0};
    enum admin_route route = ADMIN_SYNC;
    char *copy = malloc(size + 1);
    const char *texts[6];
    struct admin_head head;
    bool may;

    if (copy == NULL)
        return 0;
    memcpy(copy, data, size);
    copy[size] = '\0';
    at = copy;
    end = copy + size;
    for (int i = 0; i < 6; i++)
        texts[i] = next_text();
    head = (struct admin_head){texts[0] != NULL ? texts[0] : "",
                               texts[1] != NULL ? texts[1] : "",
                               texts[2],
                               texts[3],
                               texts[4],
                               texts[5]};
    may = admin_admit(&head, &guard, size % 2 == 0, &route, &refusal);
    if (may != (refusal.status == 0))
        abort();
    if (refusal.status == 0 && strcmp(head.method, "GET") != 0 && strcmp(head.method, "HEAD") != 0 &&
        head.authorization == NULL)
        abort(); /* nothing changes without the token */
    take_order(route);
    free(copy);
    return 0;
}
