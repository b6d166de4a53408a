/* RFC 6749, 5.1 and 5.2; RFC 8693, 2.2; "Method: serviceAccounts.generateAccessToken", IAM Service Account Credentials
 * API. */
#include "gcp_internal.h"

#include "clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Seconds as a number, or as a text with one. */
static void copy_life(yyjson_val *root, struct creds_answer *answer)
{
    snprintf(answer->expiration, sizeof answer->expiration, "%s",
             json_text(root, "expireTime", json_text(root, "expires_in", "")));
    if (answer->expiration[0] == '\0' && json_number(root, "expires_in", -1) >= 0)
        snprintf(answer->expiration, sizeof answer->expiration, "%lld",
                 (long long)json_number(root, "expires_in", 0));
}

/* An error of OAuth is a word and a description, one of an API an object. */
static void copy_error(yyjson_val *root, struct creds_answer *answer)
{
    yyjson_val *object = yyjson_obj_get(root, "error");
    const char *message = json_text(root, "error_description", json_text(object, "message", ""));

    snprintf(answer->code, sizeof answer->code, "%s",
             json_text(root, "error", json_text(object, "status", "")));
    snprintf(answer->message, sizeof answer->message, "%.*s", (int)strcspn(message, "\r\n"), message);
}

bool gcp_parse(const char *text, size_t len, struct creds_answer *answer, struct error *error)
{
    yyjson_doc *doc = json_parse(text, len, error);
    yyjson_val *root = yyjson_doc_get_root(doc);
    bool good;

    memset(answer, 0, sizeof *answer);
    if (doc == NULL)
        return false;
    good = creds_copy(answer->token, sizeof answer->token,
                      json_text(root, "access_token", json_text(root, "accessToken", ""))) ||
           error_set(error, ERROR_PROTOCOL, "its answer has a text that is too long");
    copy_life(root, answer);
    copy_error(root, answer);
    gcp_wipe(doc);
    return good;
}

/* A time of the service's clock. Without a word about it: an hour, which is what tokens live; the service says when one
 * has ended before. */
static int64_t end_of(const struct creds *creds, const struct creds_answer *answer)
{
    int64_t now = creds->date != CLOCK_UNKNOWN ? creds->date : clock_wall();
    char *end;
    long long seconds;

    if (answer->expiration[0] == '\0')
        return now + GCP_LIFE;
    seconds = strtoll(answer->expiration, &end, 10);
    if (*end != '\0')
        return clock_parse_rfc3339(answer->expiration);
    return seconds >= 0 && seconds < INT32_MAX ? now + seconds * 1000 : CLOCK_UNKNOWN;
}

static bool is_token(const char *text)
{
    return *text != '\0' && creds_is_clean(text) && strchr(text, ' ') == NULL;
}

static bool take_answer(struct creds *creds, const struct creds_answer *answer, struct error *error)
{
    if (answer->token[0] == '\0')
        return error_set(error, ERROR_PROTOCOL, "its answer has no token");
    if (!is_token(answer->token))
        return error_set(error, ERROR_PROTOCOL, "its answer has a token that cannot be used");
    creds->next.expires = end_of(creds, answer);
    if (creds->next.expires == CLOCK_UNKNOWN)
        return error_set(error, ERROR_PROTOCOL, "its answer does not say until when the token is good");
    memcpy(creds->next.session_token, answer->token, sizeof creds->next.session_token);
    /* A key at Amazon's has done its work. */
    explicit_bzero(creds->next.access_key_id, sizeof creds->next.access_key_id);
    explicit_bzero(creds->next.secret_access_key, sizeof creds->next.secret_access_key);
    return true;
}

bool gcp_take(struct creds *creds, struct error *error)
{
    struct creds_answer answer;
    bool good = gcp_parse(creds->answer, creds->answer_len, &answer, error);

    if (good)
        good = take_answer(creds, &answer, error);
    else
        error_prefix(error, "its answer is not what it should be: ");
    explicit_bzero(&answer, sizeof answer);
    return good;
}

bool gcp_take_subject(yyjson_val *account, const char *text, size_t len, struct buf *out, struct error *error)
{
    yyjson_val *format = yyjson_obj_get(yyjson_obj_get(account, "credential_source"), "format");
    const char *field = json_text(format, "subject_token_field_name", "");
    yyjson_doc *doc = NULL;
    bool good;

    if (strcmp(json_text(format, "type", "text"), "json") == 0) {
        doc = json_parse(text, len, error);
        if (doc == NULL)
            return false;
        text = json_text(yyjson_doc_get_root(doc), field, "");
        len = strlen(text);
    }
    /* Google's own library sends the newline that ends most files. */
    while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL && text[len - 1] != '\0')
        len--;
    buf_append(out, text, len);
    good = (!out->failed && len == strlen(buf_str(out)) && is_token(buf_str(out))) ||
           error_set(error, ERROR_CREDENTIALS, "there is no subject token where credential_source says");
    gcp_wipe(doc);
    return good;
}
