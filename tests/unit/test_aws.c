/* aws: partitions, and the hosts of their services. */
#include "aws.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void hosts(void **state)
{
    static const struct {
        const char *region;
        struct aws_variant variant;
        const char *s3, *sts;
    } cases[] = {
        {"eu-west-1", {false, false}, "s3.eu-west-1.amazonaws.com", "sts.eu-west-1.amazonaws.com"},
        {"us-east-1", {true, false}, "s3-fips.us-east-1.amazonaws.com", "sts-fips.us-east-1.amazonaws.com"},
        {"eu-west-1", {false, true}, "s3.dualstack.eu-west-1.amazonaws.com", "sts.eu-west-1.api.aws"},
        {"us-east-1",
         {true, true},
         "s3-fips.dualstack.us-east-1.amazonaws.com",
         "sts-fips.us-east-1.api.aws"},
        {"cn-north-1", {false, false}, "s3.cn-north-1.amazonaws.com.cn", "sts.cn-north-1.amazonaws.com.cn"},
        {"cn-north-1",
         {false, true},
         "s3.dualstack.cn-north-1.amazonaws.com.cn",
         "sts.cn-north-1.api.amazonwebservices.com.cn"},
        {"us-gov-west-1",
         {false, false},
         "s3.us-gov-west-1.amazonaws.com",
         "sts.us-gov-west-1.amazonaws.com"},
        {"us-gov-west-1",
         {true, false},
         "s3-fips.us-gov-west-1.amazonaws.com",
         "sts.us-gov-west-1.amazonaws.com"},
        {"us-gov-west-1",
         {true, true},
         "s3-fips.dualstack.us-gov-west-1.amazonaws.com",
         "sts-fips.us-gov-west-1.api.aws"},
        {"eusc-de-east-1",
         {false, false},
         "s3.eusc-de-east-1.amazonaws.eu",
         "sts.eusc-de-east-1.amazonaws.eu"},
        {"us-iso-east-1", {false, false}, "s3.us-iso-east-1.c2s.ic.gov", "sts.us-iso-east-1.c2s.ic.gov"},
        {"us-isob-east-1",
         {false, false},
         "s3.us-isob-east-1.sc2s.sgov.gov",
         "sts.us-isob-east-1.sc2s.sgov.gov"},
        {"us-isof-south-1",
         {false, false},
         "s3.us-isof-south-1.csp.hci.ic.gov",
         "sts.us-isof-south-1.csp.hci.ic.gov"},
        {"eu-isoe-west-1",
         {false, false},
         "s3.eu-isoe-west-1.cloud.adc-e.uk",
         "sts.eu-isoe-west-1.cloud.adc-e.uk"},
        {"xx-new-9", {false, false}, "s3.xx-new-9.amazonaws.com", "sts.xx-new-9.amazonaws.com"},
    };
    char host[AWS_HOST_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        aws_host(AWS_S3, cases[i].region, cases[i].variant, host);
        assert_string_equal(host, cases[i].s3);
        aws_host(AWS_STS, cases[i].region, cases[i].variant, host);
        assert_string_equal(host, cases[i].sts);
    }
}

static void partitions(void **state)
{
    (void)state;
    assert_true(aws_same_partition("eu-west-1", "us-east-1"));
    assert_true(aws_same_partition("cn-north-1", "cn-northwest-1"));
    assert_false(aws_same_partition("us-east-1", "us-gov-east-1"));
    assert_false(aws_same_partition("us-iso-east-1", "us-isob-east-1"));
    assert_false(aws_same_partition("eu-central-1", "eusc-de-east-1"));
    assert_false(aws_same_partition("cn-north-1", "us-east-1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts),
        cmocka_unit_test(partitions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
