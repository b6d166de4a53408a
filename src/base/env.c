#include "env.h"

#include <string.h>
#include <unistd.h>

const char *env_find(const char *const *environ_, const char *name)
{
    size_t len = strlen(name);

    for (; *environ_ != NULL; environ_++)
        if (strncmp(*environ_, name, len) == 0 && (*environ_)[len] == '=')
            return *environ_ + len + 1;
    return NULL;
}

const char *env_text(const char *name)
{
    const char *value = env_find((const char *const *)environ, name);

    return value != NULL ? value : "";
}
