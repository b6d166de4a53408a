/* What notifications need together. Whatever is wrong with them, the sync goes on without. */
#include "settings_internal.h"

#include "uri.h"

#include <stdio.h>
#include <string.h>

#define URL_MAX 2048

/* NULL, or what is wrong with it. */
static const char *reject_url(const char *url, bool mail, bool may_be_plain)
{
    struct error ignored = {.kind = ERROR_NONE};
    char head[URL_MAX];
    struct uri uri;
    size_t len = strcspn(url, "?");

    for (const char *c = url; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~' || strchr("#\"<>\\", *c) != NULL)
            return "has a character in it that a URL cannot have";
    if (strlen(url) >= sizeof head)
        return "is too long for a URL";
    snprintf(head, sizeof head, "%.*s", (int)len, url);
    if (!uri_parse(head, "", &uri, &ignored))
        return "is no URL, or has a user or a password in it";
    if (mail && (uri.path[0] != '\0' || url[len] != '\0' ||
                 (strcmp(uri.scheme, "smtp") != 0 && strcmp(uri.scheme, "smtps") != 0)))
        return "has to be smtp://host:port or smtps://host, with nothing behind it";
    if (mail || strcmp(uri.scheme, "https") == 0)
        return NULL;
    if (strcmp(uri.scheme, "http") != 0)
        return "has to begin with https://";
    return may_be_plain || uri_is_near(uri.host)
               ? NULL
               : "is http:// to another machine (notify_plain=true allows that)";
}

static const char *reject_mail(const struct settings *settings)
{
    if (*settings->notify_mail_from == '\0')
        return "needs notify_mail_from";
    if (*settings->smtp_url == '\0')
        return "needs smtp_url";
    if ((*settings->smtp_user == '\0') != (*settings->smtp_password == '\0'))
        return "needs smtp_user and smtp_password, or neither";
    return NULL;
}

static void check_part(struct settings *settings, const char **field, const char *what, const char *why)
{
    if (why == NULL || **field == '\0')
        return;
    settings_add(settings->state, &settings->state->problems, "%s %s; it is not used", what, why);
    *field = "";
}

void settings_check_notify(struct settings *settings)
{
    bool plain = settings->notify_plain != 0;

    check_part(settings, &settings->notify_url, "notify_url", reject_url(settings->notify_url, false, plain));
    check_part(settings, &settings->smtp_url, "smtp_url", reject_url(settings->smtp_url, true, plain));
    check_part(settings, &settings->notify_mail_to, "notify_mail_to", reject_mail(settings));
}
