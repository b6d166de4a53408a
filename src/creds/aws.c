#include "aws.h"

#include "text.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct partition {
    const char *regions; /* how their names begin */
    const char *suffix;
    const char
        *dualstack; /* of services whose dual-stack hosts have a domain of their own, which S3's have not */
};

/* The last row is for all others. */
static const struct partition partitions[] = {
    {"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
    {"us-gov-", "amazonaws.com", "api.aws"},
    {"eusc-", "amazonaws.eu", "api.amazonwebservices.eu"},
    {"us-iso-", "c2s.ic.gov", "api.aws.ic.gov"},
    {"us-isob-", "sc2s.sgov.gov", "api.aws.scloud"},
    {"us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"},
    {"eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"},
    {"", "amazonaws.com", "api.aws"},
};

static const struct partition *find_partition(const char *region)
{
    const struct partition *partition = partitions;

    while (!text_begins(region, partition->regions))
        partition++;
    return partition;
}

void aws_host(enum aws_service service, const char *region, struct aws_variant variant,
              char out[AWS_HOST_SIZE])
{
    const struct partition *partition = find_partition(region);
    /* GovCloud's own STS is one. */
    bool named = variant.fips && (variant.dualstack || strcmp(partition->regions, "us-gov-") != 0);

    if (service == AWS_S3)
        snprintf(out, AWS_HOST_SIZE, "s3%s%s.%s.%s", variant.fips ? "-fips" : "",
                 variant.dualstack ? ".dualstack" : "", region, partition->suffix);
    else
        snprintf(out, AWS_HOST_SIZE, "sts%s.%s.%s", named ? "-fips" : "", region,
                 variant.dualstack ? partition->dualstack : partition->suffix);
}

bool aws_same_partition(const char *region, const char *other)
{
    return find_partition(region) == find_partition(other);
}
