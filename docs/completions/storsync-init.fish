# storsync-init completion for fish; made by `make docs`
complete -c storsync-init -x -a '(__fish_complete_subcommand)'
complete -c storsync-init -l sync -d 'sync now, whatever the marker and the interval say'
complete -c storsync-init -l serve -d 'stay, with the command as a child'
complete -c storsync-init -l validate -d 'compare both buckets'
complete -c storsync-init -l status -d 'what the last run did'
complete -c storsync-init -l health -d 'for health checks: did the sync go well?'
complete -c storsync-init -l check-config -d 'are all settings usable?'
complete -c storsync-init -l check-access -d 'may the credentials do what a sync needs?'
complete -c storsync-init -l runs -d 'which syncs can be undone'
complete -c storsync-init -l rollback -d 'undo the last sync'
complete -c storsync-init -l explain -d 'is this key synced, and which rule says so?'
complete -c storsync-init -l print-config -d 'every setting, its value, and where it came from'
complete -c storsync-init -l json -d 'answer for programs'
complete -c storsync-init -l help -d 'show all options'
complete -c storsync-init -l version -d 'show the version'
complete -c storsync-init -l environment -d 'production or development; found out if not set' -x -a 'production development'
complete -c storsync-init -l deployment-id -d 'what tells one deployment from the next; the platform\'s own if not set' -x
complete -c storsync-init -l job -d 'what this sync is called in the production bucket; follows from source, paths and filters if not set' -x
complete -c storsync-init -l shard -d 'I/N: of N processes that share the objects of a deployment this is number I, from 0; /N takes that from JOB_COMPLETION_INDEX' -x
complete -c storsync-init -l public-object-search-paths -d 'what to sync: /bucket/prefix, comma-separated, or /bucket/* for all; the bucket\'s name does not count' -x
complete -c storsync-init -l private-object-dir -d 'what to sync besides: one /bucket/prefix; public/ and private/ if neither is set' -x
complete -c storsync-init -l exclude -d 'what not to sync of that: patterns of keys, comma-separated, such as *.tmp,/public/cache/' -x
complete -c storsync-init -l include -d 'what to sync of that, and nothing else; the first pattern that matches decides' -x
complete -c storsync-init -l filter-file -d 'file with more of both, which come after these: a line each, "- *.tmp" or "+ *.css"' -r -F
complete -c storsync-init -l min-interval -d 'least time between two automatic syncs' -x
complete -c storsync-init -l schedule -d 'with --serve, when to sync: five fields as in crontab, or @hourly, @daily and the like' -x
complete -c storsync-init -l validate-schedule -d 'with --serve, when to validate' -x
complete -c storsync-init -l schedule-jitter -d 'each replica is later than the schedule says by its own part of this' -x
complete -c storsync-init -l max-failures -d 'objects in a row that may fail for one reason before the run gives up; 0 is no limit' -x
complete -c storsync-init -l on-failure -d 'after a failed sync, start the application nevertheless, or stop with the exit code' -x -a 'start stop'
complete -c storsync-init -l timeout -d 'most time that the application may be kept waiting; 0 is no limit' -x
complete -c storsync-init -l wait -d 'most time to wait while another replica syncs' -x
complete -c storsync-init -l lease-ttl -d 'how long a replica that syncs may be silent before another takes over; 3s is the least that counts' -x
complete -c storsync-init -l compare -d 'which difference counts: size; newer adds a later time at the source; etag adds the ETag' -x -a 'size newer etag'
complete -c storsync-init -l conflict -d 'what was changed in production since it was synced, and would be copied over: overwrite, keep it, or let it fail' -x -a 'overwrite keep fail'
complete -c storsync-init -l keep-previous -d 'so that --rollback can undo a sync: copies keeps what it overwrites, in the production bucket; versions relies on those that the bucket keeps itself' -x -a 'off copies versions'
complete -c storsync-init -l runs-kept -d 'so many of the newest syncs that changed something can be rolled back (keep_previous)' -x
complete -c storsync-init -l delete -d 'what production has and the source has not: leave it (off), or remove it after a clean sync (extra)' -x -a 'off extra'
complete -c storsync-init -l max-delete -d 'most that delete may remove in a run, objects or a share of production\'s (10%); if it is more, nothing is' -x
complete -c storsync-init -l tags -d 'objects\' tags: auto leaves them out, with a warning, where the destination has none; require fails there; ignore never copies them' -x -a 'auto require ignore'
complete -c storsync-init -l acl -d 'objects\' ACLs: bucket sends none, so the production bucket\'s default holds; copy gives the grants that the source has; private, public-read, authenticated-read, bucket-owner-read, bucket-owner-full-control are S3\'s' -x -a 'bucket copy private public-read authenticated-read bucket-owner-read bucket-owner-full-control'
complete -c storsync-init -l concurrency -d 'transfers at once; auto begins with 16 and follows what the service bears' -x
complete -c storsync-init -l part-size -d 'size of the parts in which large objects are copied' -x
complete -c storsync-init -l dry-run -d 'decide and log as always, but write nothing'
complete -c storsync-init -l plan -d 'where a dry run writes what it would do to each object; - is standard output' -r -F
complete -c storsync-init -l plan-format -d 'json is what would change, json-all all objects; s3-batch and sts are manifests for S3 Batch Operations and Google\'s Storage Transfer Service' -x -a 'json json-all s3-batch sts'
complete -c storsync-init -l strict -d 'with --validate: extra objects count as differences'
complete -c storsync-init -l content -d 'with --validate: read what no hash compares, all of it or a share'
complete -c storsync-init -l content-seed -d 'which share: the same number is the same one; 0 is another each time' -x
complete -c storsync-init -l retries -d 'how often a failed request is tried again' -x
complete -c storsync-init -l max-requests -d 'most requests a second, those that are tried again included; 0 is no limit' -x
complete -c storsync-init -l max-bytes -d 'most bytes a second over the network, both directions together; 0 is no limit, and 64KiB the least that counts' -x
complete -c storsync-init -l connect-timeout -d 'most time for name lookup, TCP and TLS together' -x
complete -c storsync-init -l stall-timeout -d 'a request that makes no progress for this long is broken off' -x
complete -c storsync-init -l request-timeout -d 'most time for one attempt at one request; 0 is no limit' -x
complete -c storsync-init -l notify-on -d 'which runs are told of: those that failed, those that ended otherwise than the one before, or all' -x -a 'failure change always'
complete -c storsync-init -l notify-timeout -d 'most time that telling may take, all attempts together' -x
complete -c storsync-init -l notify-ca-file -d 'PEM file with the certificate authorities to trust there; as for the buckets if not set' -r -F
complete -c storsync-init -l notify-plain -d 'other machines may be told without TLS: by http, or by smtp without STARTTLS'
complete -c storsync-init -l notify-mail-to -d 'who gets a mail about it: addresses, comma-separated' -x
complete -c storsync-init -l notify-mail-from -d 'whom that mail is from' -x
complete -c storsync-init -l smtp-url -d 'the server that takes the mail: smtp://host:587 with STARTTLS, or smtps://host' -x
complete -c storsync-init -l smtp-user -d 'user there' -x
complete -c storsync-init -l admin-listen -d 'where it listens: HOST:PORT, :PORT for every address of the machine, unix:/PATH, or off' -x
complete -c storsync-init -l admin-hosts -d 'names besides localhost by which it may be called, comma-separated, such as a Kubernetes service\'s' -x
complete -c storsync-init -l drop-env -d 'variables that the application does not get: names, comma-separated; AWS_* is all that begin so' -x
complete -c storsync-init -l status-file -d 'where the status goes; /run/storsync/status.json or /tmp/storsync-status.json if not set' -r -F
complete -c storsync-init -l metrics-file -d 'where the figures of the last run go, for Prometheus\' node_exporter; nowhere if not set' -r -F
complete -c storsync-init -l log-format -d 'lines for a person, or one JSON object a line' -x -a 'text json'
complete -c storsync-init -l log-level -d 'how much to log' -x -a 'error warn info debug'
complete -c storsync-init -l config -d 'the INI file with settings; the default one need not exist' -r -F
complete -c storsync-init -l source-bucket -d 'the bucket: its name, s3://name, gs://name or file:///directory' -x
complete -c storsync-init -l source-endpoint -d 'where the S3 service is; AWS if not set' -x
complete -c storsync-init -l source-region -d 'region of the bucket; us-east-1 if not set' -x
complete -c storsync-init -l source-path-style -d 'where a request names the bucket: in its path if yes, in its host name if no' -x -a 'auto yes no'
complete -c storsync-init -l source-use-fips-endpoint -d 'ask AWS at its endpoints with validated cryptography; as the profile says if auto' -x -a 'auto yes no'
complete -c storsync-init -l source-use-dualstack-endpoint -d 'ask AWS at its endpoints that have IPv6 as well; as the profile says if auto' -x -a 'auto yes no'
complete -c storsync-init -l source-request-payer -d 'who pays for requests to the bucket and what is read; some buckets have to be told: requester' -x -a 'owner requester'
complete -c storsync-init -l source-user-project -d 'which project pays for requests to a gs:// bucket; some have to be told' -x
complete -c storsync-init -l source-allow-http -d 'credentials and data may go over plain http, to other machines as well'
complete -c storsync-init -l source-ca-file -d 'PEM file with the certificate authorities to trust; if not set, SSL_CERT_FILE, the system\'s, our own' -r -F
complete -c storsync-init -l source-profile -d 'profile in the shared AWS files' -x
complete -c storsync-init -l source-access-key-id -d 'access key' -x
complete -c storsync-init -l source-role-arn -d 'role to assume with a web identity token' -x
complete -c storsync-init -l source-web-identity-token-file -d 'file with that token; it is read again whenever credentials are renewed' -r -F
complete -c storsync-init -l source-role-session-name -d 'what the role\'s session is called; made up if not set' -x
complete -c storsync-init -l source-sts-endpoint -d 'where roles are assumed; AWS if not set' -x
complete -c storsync-init -l destination-bucket -d 'the bucket: its name, s3://name, gs://name or file:///directory' -x
complete -c storsync-init -l destination-endpoint -d 'where the S3 service is; AWS if not set' -x
complete -c storsync-init -l destination-region -d 'region of the bucket; us-east-1 if not set' -x
complete -c storsync-init -l destination-path-style -d 'where a request names the bucket: in its path if yes, in its host name if no' -x -a 'auto yes no'
complete -c storsync-init -l destination-use-fips-endpoint -d 'ask AWS at its endpoints with validated cryptography; as the profile says if auto' -x -a 'auto yes no'
complete -c storsync-init -l destination-use-dualstack-endpoint -d 'ask AWS at its endpoints that have IPv6 as well; as the profile says if auto' -x -a 'auto yes no'
complete -c storsync-init -l destination-request-payer -d 'who pays for requests to the bucket and what is read; some buckets have to be told: requester' -x -a 'owner requester'
complete -c storsync-init -l destination-user-project -d 'which project pays for requests to a gs:// bucket; some have to be told' -x
complete -c storsync-init -l destination-allow-http -d 'credentials and data may go over plain http, to other machines as well'
complete -c storsync-init -l destination-ca-file -d 'PEM file with the certificate authorities to trust; if not set, SSL_CERT_FILE, the system\'s, our own' -r -F
complete -c storsync-init -l destination-profile -d 'profile in the shared AWS files' -x
complete -c storsync-init -l destination-access-key-id -d 'access key' -x
complete -c storsync-init -l destination-role-arn -d 'role to assume with a web identity token' -x
complete -c storsync-init -l destination-web-identity-token-file -d 'file with that token; it is read again whenever credentials are renewed' -r -F
complete -c storsync-init -l destination-role-session-name -d 'what the role\'s session is called; made up if not set' -x
complete -c storsync-init -l destination-sts-endpoint -d 'where roles are assumed; AWS if not set' -x
