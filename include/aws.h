/*
 * aws - where Amazon's services are: "AWS service endpoints", AWS General Reference; the suffixes are those of
 * partitions.json in botocore, the names those of the endpoint rule sets of S3 and STS there.
 */
#ifndef STORSYNC_AWS_H
#define STORSYNC_AWS_H

#include <stdbool.h>

enum aws_service { AWS_S3, AWS_STS };

/* Which of a service's endpoints: "Dual-stack and FIPS endpoints", AWS SDKs and Tools Reference Guide. */
struct aws_variant {
    bool fips;      /* with validated cryptography; not everywhere is one */
    bool dualstack; /* by IPv6 as well */
};

/* The host of a service in a region, which has less than 64 bytes. A region that nobody has heard of is in the partition
 * with the most regions. */
#define AWS_HOST_SIZE 256
void aws_host(enum aws_service service, const char *region, struct aws_variant variant,
              char out[AWS_HOST_SIZE]);

/* Regions of two partitions (China, GovCloud, the European Sovereign Cloud, ...) have nothing in common: no accounts, no
 * names of buckets, and no copies from one to the other. */
bool aws_same_partition(const char *region, const char *other);

#endif
