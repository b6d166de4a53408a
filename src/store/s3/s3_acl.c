/*
 * "Access control list (ACL) overview", Amazon S3 User Guide; "GetObjectAcl" and "GetBucketAcl", Amazon S3 API Reference.
 *
 * A grant is a pair: "grant-read" or the like, and `id="..."` or `uri="..."`, as a header takes it, or OWNER. Whoever owns
 * the source's object may be unknown at the destination, or nobody there whom one would give anything: what he has is the
 * owner's of the destination's bucket, who could not read an object with grants to others alone.
 *
 * INVARIANT: an object is never there without its ACL: the request that makes it carries that.
 */
#include "s3_internal.h"

#include "text.h"

#include <stdio.h>
#include <string.h>

#define OWNER "owner"

struct acl_call {
    struct s3_call base;
    char owner[S3_OWNER_SIZE];
    char id[S3_OWNER_SIZE], uri[S3_OWNER_SIZE], permission[24]; /* of the grant at hand */
    bool usual; /* so far it has what every new object has: the owner may do all */
};

static struct acl_call *acl_call(struct s3_call *c)
{
    return (struct acl_call *)c;
}

static void forget_grant(struct acl_call *a)
{
    a->id[0] = a->uri[0] = a->permission[0] = '\0';
}

static void acl_prepare(struct s3_call *c)
{
    struct acl_call *a = acl_call(c);

    a->owner[0] = '\0';
    a->usual = true;
    forget_grant(a);
    object_meta_clear(&c->base.call->meta);
}

/* The permission as part of a header's name. WRITE means nothing for an object, and has no header. */
static const char *grant_name(const char *permission)
{
    static const char *const names[][2] = {
        {"READ", "grant-read"},
        {"WRITE", ""},
        {"READ_ACP", "grant-read-acp"},
        {"WRITE_ACP", "grant-write-acp"},
        {"FULL_CONTROL", "grant-full-control"},
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i][0], permission) == 0)
            return names[i][1];
    return NULL;
}

/* What stands in quotes must not be able to end them. */
static bool add_grant(struct s3_call *c, struct error *error)
{
    struct acl_call *a = acl_call(c);
    const char *name = grant_name(a->permission), *who = a->id[0] != '\0' ? a->id : a->uri;
    bool owner = a->uri[0] == '\0' && strcmp(a->id, a->owner) == 0;
    char value[S3_OWNER_SIZE + 8] = OWNER;
    bool ok = true;

    if (name == NULL || (!owner && *who == '\0') || strpbrk(who, "\"\\") != NULL)
        return error_set(error, ERROR_PROTOCOL, "it has a grant that cannot be understood");
    if (!owner)
        snprintf(value, sizeof value, "%s=\"%s\"", who == a->id ? "id" : "uri", who);
    a->usual &= owner && strcmp(a->permission, "FULL_CONTROL") == 0;
    if (*name != '\0')
        ok = object_meta_add(&c->base.call->meta, name, value);
    forget_grant(a);
    return ok || error_set(error, ERROR_UNSUPPORTED, "it has more grants than a request can carry");
}

static bool acl_element(struct s3_call *c, const char *path, const char *text, struct error *error)
{
    static const char grant[] = "AccessControlList/Grant";
    struct acl_call *a = acl_call(c);

    if (strlen(text) >= S3_OWNER_SIZE)
        return error_set(error, ERROR_UNSUPPORTED, "an owner or a grant is too long");
    if (strcmp(path, "Owner/ID") == 0)
        s3_copy_text(a->owner, sizeof a->owner, text);
    if (!text_begins(path, grant))
        return true;
    path += sizeof grant - 1;
    if (*path == '\0')
        return add_grant(c, error);
    if (strcmp(path, "/Grantee/ID") == 0)
        s3_copy_text(a->id, sizeof a->id, text);
    else if (strcmp(path, "/Grantee/URI") == 0)
        s3_copy_text(a->uri, sizeof a->uri, text);
    else if (strcmp(path, "/Permission") == 0)
        s3_copy_text(a->permission, sizeof a->permission, text);
    return true;
}

static enum http_verdict acl_answered(struct s3_call *c, struct error *error)
{
    struct acl_call *a = acl_call(c);
    bool bucket = c->base.key[0] == '\0';

    if (a->usual || bucket)
        object_meta_clear(&c->base.call->meta);
    if (bucket && a->owner[0] == '\0') /* MinIO, which would take no notice of grants */
        error_set(error, ERROR_CONFIG, "the bucket has no owner, and so takes no grants: set acl = bucket");
    if (bucket)
        memcpy(c->store->owner, a->owner, sizeof a->owner);
    return HTTP_DONE;
}

static const struct s3_operation object_acl_operation = {
    .base = {.method = "GET", .doing = "reading the ACL of"},
    .size = sizeof(struct acl_call),
    .permission = "s3:GetObjectAcl",
    .root = "AccessControlPolicy",
    .prepare = acl_prepare,
    .element = acl_element,
    .answered = acl_answered,
};

static const struct s3_operation bucket_acl_operation = {
    .base = {.method = "GET", .doing = "reading the bucket's ACL"},
    .size = sizeof(struct acl_call),
    .permission = "s3:GetBucketAcl",
    .root = "AccessControlPolicy",
    .about_bucket = true,
    .prepare = acl_prepare,
    .element = acl_element,
    .answered = acl_answered,
};

void s3_acl(struct store *store, struct call *call, const char *key)
{
    struct s3_call *c =
        s3_begin(store, call, *key != '\0' ? &object_acl_operation : &bucket_acl_operation, key);

    if (c == NULL)
        return;
    buf_puts(&c->query, "acl=");
    s3_submit(c);
}

void s3_field_acl(struct s3_call *c, const struct object_meta *acl)
{
    const char *name, *value;
    size_t at = 0;
    char field[32], own[S3_OWNER_SIZE + 8];

    while (acl != NULL && object_meta_next(acl, &at, &name, &value)) {
        c->with_acl = true;
        snprintf(field, sizeof field, "x-amz-%s", name);
        snprintf(own, sizeof own, "id=\"%s\"", c->store->owner);
        if (strcmp(value, OWNER) == 0)
            value = own;
        if (exchange_is_field_value(value))
            object_meta_join(&c->base.fields, field, value);
        else
            c->base.bad_field = true;
    }
}
