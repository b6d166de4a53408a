/*
 * Stands in for libcurl's lib/setopt.c, which knows 250 options: here are those that src/http sets. Any
 * other one is CURLE_UNKNOWN_OPTION, which http_transfer.c treats as a failure. https://curl.se/libcurl/c/ says what
 * each is; what libcurl does when one has not been set is in its Curl_init_userdefined.
 */
#include "curl_setup.h"

#include "urldata.h"

#include "setopt.h"
#include "url.h"

#include "curl_memory.h"
#include "memdebug.h"

/* What is set here is the handle's own copy, freed with it. NULL for none. */
CURLcode Curl_setstropt(char **option, const char *text)
{
    char *copy = NULL;

    if (text != NULL && strlen(text) > CURL_MAX_INPUT_LENGTH)
        return CURLE_BAD_FUNCTION_ARGUMENT;
    if (text != NULL && (copy = strdup(text)) == NULL)
        return CURLE_OUT_OF_MEMORY;
    free(*option);
    *option = copy;
    return CURLE_OK;
}

/* For curl_easy_duphandle, which nobody calls. */
CURLcode Curl_setblobopt(struct curl_blob **slot, const struct curl_blob *blob)
{
    (void)slot;
    return blob == NULL ? CURLE_OK : CURLE_NOT_BUILT_IN;
}

static unsigned int within(long number, long least, long most)
{
    return (unsigned int)(number < least ? least : number > most ? most : number);
}

static CURLcode set_number(struct Curl_easy *data, CURLoption option, long number)
{
    switch (option) {
    case CURLOPT_BUFFERSIZE:
        data->set.buffer_size = within(number, READBUFFER_MIN, READBUFFER_MAX);
        return CURLE_OK;
    case CURLOPT_UPLOAD_BUFFERSIZE:
        data->set.upload_buffer_size = within(number, UPLOADBUFFER_MIN, UPLOADBUFFER_MAX);
        return CURLE_OK;
    case CURLOPT_CONNECTTIMEOUT_MS:
        data->set.connecttimeout = within(number, 0, INT_MAX);
        return CURLE_OK;
    case CURLOPT_FOLLOWLOCATION:
        data->set.http_follow_mode = number != 0 ? CURLFOLLOW_ALL : 0;
        return CURLE_OK;
    case CURLOPT_HTTP_VERSION:
        data->set.httpwant = (unsigned char)within(number, CURL_HTTP_VERSION_NONE, CURL_HTTP_VERSION_1_1);
        return CURLE_OK;
    case CURLOPT_NOSIGNAL:
        data->set.no_signal = number != 0;
        return CURLE_OK;
    case CURLOPT_PATH_AS_IS:
        data->set.path_as_is = number != 0;
        return CURLE_OK;
    case CURLOPT_QUICK_EXIT:
        data->set.quick_exit = number != 0;
        return CURLE_OK;
    case CURLOPT_SUPPRESS_CONNECT_HEADERS:
        data->set.suppress_connect_headers = number != 0;
        return CURLE_OK;
    case CURLOPT_MAIL_RCPT_ALLOWFAILS:
        data->set.mail_rcpt_allowfails = number != 0;
        return CURLE_OK;
    case CURLOPT_TIMEOUT_MS:
        data->set.timeout = within(number, 0, INT_MAX);
        return CURLE_OK;
    case CURLOPT_USE_SSL:
        data->set.use_ssl = (unsigned char)within(number, CURLUSESSL_NONE, CURLUSESSL_ALL);
        return CURLE_OK;
    case CURLOPT_TCP_KEEPALIVE:
        data->set.tcp_keepalive = number != 0;
        return CURLE_OK;
    case CURLOPT_TCP_NODELAY:
        data->set.tcp_nodelay = number != 0;
        return CURLE_OK;
    /* The request's kind; the last of these counts. */
    case CURLOPT_HTTPGET:
        data->set.method = HTTPREQ_GET;
        data->set.opt_no_body = FALSE;
        return CURLE_OK;
    case CURLOPT_NOBODY:
        data->set.method = number != 0 ? HTTPREQ_HEAD : HTTPREQ_GET;
        data->set.opt_no_body = number != 0;
        return CURLE_OK;
    case CURLOPT_UPLOAD:
        data->set.method = number != 0 ? HTTPREQ_PUT : HTTPREQ_GET;
        data->set.opt_no_body = FALSE;
        return CURLE_OK;
    default:
        return CURLE_UNKNOWN_OPTION;
    }
}

/* A slot of the handle's that keeps this option's text, or NULL. */
static char **text_slot(struct Curl_easy *data, CURLoption option)
{
    switch (option) {
    case CURLOPT_CAINFO:
        return &data->set.str[STRING_SSL_CAFILE];
    case CURLOPT_PROXY_CAINFO:
        return &data->set.str[STRING_SSL_CAFILE_PROXY];
    case CURLOPT_CUSTOMREQUEST:
        return &data->set.str[STRING_CUSTOMREQUEST];
    case CURLOPT_MAIL_FROM:
        return &data->set.str[STRING_MAIL_FROM];
    case CURLOPT_PASSWORD:
        return &data->set.str[STRING_PASSWORD];
    case CURLOPT_USERNAME:
        return &data->set.str[STRING_USERNAME];
    case CURLOPT_PROXY:
        return &data->set.str[STRING_PROXY];
    case CURLOPT_URL:
        return &data->set.str[STRING_SET_URL];
    case CURLOPT_USERAGENT:
        return &data->set.str[STRING_USERAGENT];
    default:
        return NULL;
    }
}

/* The names of schemes, with commas between them. */
static CURLcode set_protocols(struct Curl_easy *data, const char *names)
{
    data->set.allowed_protocols = 0;
    while (*names != '\0') {
        size_t len = strcspn(names, ",");
        const struct Curl_handler *handler = Curl_getn_scheme_handler(names, len);

        if (handler == NULL)
            return CURLE_UNSUPPORTED_PROTOCOL;
        data->set.allowed_protocols |= handler->protocol;
        names += len + (names[len] == ',' ? 1 : 0);
    }
    return CURLE_OK;
}

static CURLcode set_text(struct Curl_easy *data, CURLoption option, const char *text)
{
    char **slot = text_slot(data, option);

    if (option == CURLOPT_PROTOCOLS_STR)
        return set_protocols(data, text);
    if (slot == NULL)
        return CURLE_UNKNOWN_OPTION;
    if (option == CURLOPT_PROXY) /* another proxy has to be asked for its kinds of authentication */
        memset(&data->state.authproxy, 0, sizeof data->state.authproxy);
    if (option == CURLOPT_URL && data->state.url_alloc) {
        Curl_safefree(data->state.url);
        data->state.url_alloc = FALSE;
    }
    CURLcode result = Curl_setstropt(slot, text);
    if (option == CURLOPT_URL)
        data->state.url = *slot;
    return result;
}

static CURLcode set_pointer(struct Curl_easy *data, CURLoption option, void *pointer)
{
    switch (option) {
    case CURLOPT_ERRORBUFFER:
        data->set.errorbuffer = pointer;
        return CURLE_OK;
    case CURLOPT_HEADERDATA:
        data->set.writeheader = pointer;
        return CURLE_OK;
    case CURLOPT_HTTPHEADER:
        data->set.headers = pointer;
        return CURLE_OK;
    case CURLOPT_MAIL_RCPT:
        data->set.mail_rcpt = pointer;
        return CURLE_OK;
    case CURLOPT_PREREQDATA:
        data->set.prereq_userp = pointer;
        return CURLE_OK;
    case CURLOPT_PRIVATE:
        data->set.private_data = pointer;
        return CURLE_OK;
    case CURLOPT_READDATA:
        data->set.in_set = pointer;
        return CURLE_OK;
    case CURLOPT_SEEKDATA:
        data->set.seek_client = pointer;
        return CURLE_OK;
    case CURLOPT_SSL_CTX_DATA:
        data->set.ssl.fsslctxp = pointer;
        return CURLE_OK;
    case CURLOPT_WRITEDATA:
        data->set.out = pointer;
        return CURLE_OK;
    default:
        return set_text(data, option, pointer);
    }
}

static CURLcode set_function(struct Curl_easy *data, CURLoption option, va_list arg)
{
    switch (option) {
    case CURLOPT_HEADERFUNCTION:
        data->set.fwrite_header = va_arg(arg, curl_write_callback);
        return CURLE_OK;
    case CURLOPT_PREREQFUNCTION:
        data->set.fprereq = va_arg(arg, curl_prereq_callback);
        return CURLE_OK;
    case CURLOPT_READFUNCTION:
        data->set.fread_func_set = va_arg(arg, curl_read_callback);
        data->set.is_fread_set = TRUE;
        return CURLE_OK;
    case CURLOPT_SEEKFUNCTION:
        data->set.seek_func = va_arg(arg, curl_seek_callback);
        return CURLE_OK;
    case CURLOPT_SSL_CTX_FUNCTION:
        data->set.ssl.fsslctx = va_arg(arg, curl_ssl_ctx_callback);
        return CURLE_OK;
    case CURLOPT_WRITEFUNCTION:
        data->set.fwrite_func = va_arg(arg, curl_write_callback);
        return CURLE_OK;
    default:
        return CURLE_UNKNOWN_OPTION;
    }
}

CURLcode Curl_vsetopt(struct Curl_easy *data, CURLoption option, va_list arg)
{
    if (option < CURLOPTTYPE_OBJECTPOINT)
        return set_number(data, option, va_arg(arg, long));
    if (option < CURLOPTTYPE_FUNCTIONPOINT)
        return set_pointer(data, option, va_arg(arg, void *));
    if (option < CURLOPTTYPE_OFF_T)
        return set_function(data, option, arg);
    if (option != CURLOPT_INFILESIZE_LARGE)
        return CURLE_UNKNOWN_OPTION;
    data->set.filesize = va_arg(arg, curl_off_t);
    return CURLE_OK;
}

#undef curl_easy_setopt
CURLcode curl_easy_setopt(CURL *easy, CURLoption option, ...)
{
    va_list arg;
    CURLcode result;

    va_start(arg, option);
    result = Curl_vsetopt(easy, option, arg);
    va_end(arg);
    return result;
}
