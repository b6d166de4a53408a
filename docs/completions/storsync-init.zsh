#compdef storsync-init
# made by `make docs`
_arguments -S -s \
	'--sync[sync now, whatever the marker and the interval say]' \
	'--serve[stay, with the command as a child]' \
	'--validate[compare both buckets]' \
	'--status[what the last run did]' \
	'--health[for health checks\: did the sync go well?]' \
	'--check-config[are all settings usable?]' \
	'--check-access[may the credentials do what a sync needs?]' \
	'--runs[which syncs can be undone]' \
	'--rollback[undo the last sync]' \
	'--explain[is this key synced, and which rule says so?]' \
	'--print-config[every setting, its value, and where it came from]' \
	'--json[answer for programs]' \
	'--help[show all options]' \
	'--version[show the version]' \
	'--environment=[production or development; found out if not set]:value:(production development)' \
	'--deployment-id=[what tells one deployment from the next; the platform'\''s own if not set]:ID:' \
	'--job=[what this sync is called in the production bucket; follows from source, paths and filters if not set]:NAME:' \
	'--shard=[I/N\: of N processes that share the objects of a deployment this is number I, from 0; /N takes that from JOB_COMPLETION_INDEX]:SHARD:' \
	'--public-object-search-paths=[what to sync\: /bucket/prefix, comma-separated, or /bucket/* for all; the bucket'\''s name does not count]:PATHS:' \
	'--private-object-dir=[what to sync besides\: one /bucket/prefix; public/ and private/ if neither is set]:PATH:' \
	'--exclude=[what not to sync of that\: patterns of keys, comma-separated, such as *.tmp,/public/cache/]:PATTERNS:' \
	'--include=[what to sync of that, and nothing else; the first pattern that matches decides]:PATTERNS:' \
	'--filter-file=[file with more of both, which come after these\: a line each, "- *.tmp" or "+ *.css"]:FILE:_files' \
	'--min-interval=[least time between two automatic syncs]:value:' \
	'--schedule=[with --serve, when to sync\: five fields as in crontab, or @hourly, @daily and the like]:SCHEDULE:' \
	'--validate-schedule=[with --serve, when to validate]:SCHEDULE:' \
	'--schedule-jitter=[each replica is later than the schedule says by its own part of this]:value:' \
	'--max-failures=[objects in a row that may fail for one reason before the run gives up; 0 is no limit]:value:' \
	'--on-failure=[after a failed sync, start the application nevertheless, or stop with the exit code]:value:(start stop)' \
	'--timeout=[most time that the application may be kept waiting; 0 is no limit]:value:' \
	'--wait=[most time to wait while another replica syncs]:value:' \
	'--lease-ttl=[how long a replica that syncs may be silent before another takes over; 3s is the least that counts]:value:' \
	'--compare=[which difference counts\: size; newer adds a later time at the source; etag adds the ETag]:value:(size newer etag)' \
	'--conflict=[what was changed in production since it was synced, and would be copied over\: overwrite, keep it, or let it fail]:value:(overwrite keep fail)' \
	'--keep-previous=[so that --rollback can undo a sync\: copies keeps what it overwrites, in the production bucket; versions relies on those that the bucket keeps itself]:value:(off copies versions)' \
	'--runs-kept=[so many of the newest syncs that changed something can be rolled back (keep_previous)]:value:' \
	'--delete=[what production has and the source has not\: leave it (off), or remove it after a clean sync (extra)]:value:(off extra)' \
	'--max-delete=[most that delete may remove in a run, objects or a share of production'\''s (10%); if it is more, nothing is]:value:' \
	'--tags=[objects'\'' tags\: auto leaves them out, with a warning, where the destination has none; require fails there; ignore never copies them]:value:(auto require ignore)' \
	'--acl=[objects'\'' ACLs\: bucket sends none, so the production bucket'\''s default holds; copy gives the grants that the source has; private, public-read, authenticated-read, bucket-owner-read, bucket-owner-full-control are S3'\''s]:value:(bucket copy private public-read authenticated-read bucket-owner-read bucket-owner-full-control)' \
	'--concurrency=[transfers at once; auto begins with 16 and follows what the service bears]:value:' \
	'--part-size=[size of the parts in which large objects are copied]:value:' \
	'--dry-run[decide and log as always, but write nothing]' \
	'--plan=[where a dry run writes what it would do to each object; - is standard output]:FILE:_files' \
	'--plan-format=[json is what would change, json-all all objects; s3-batch and sts are manifests for S3 Batch Operations and Google'\''s Storage Transfer Service]:value:(json json-all s3-batch sts)' \
	'--strict[with --validate\: extra objects count as differences]' \
	'--content[with --validate\: read what no hash compares, all of it or a share]' \
	'--content-seed=[which share\: the same number is the same one; 0 is another each time]:value:' \
	'--retries=[how often a failed request is tried again]:value:' \
	'--max-requests=[most requests a second, those that are tried again included; 0 is no limit]:value:' \
	'--max-bytes=[most bytes a second over the network, both directions together; 0 is no limit, and 64KiB the least that counts]:value:' \
	'--connect-timeout=[most time for name lookup, TCP and TLS together]:value:' \
	'--stall-timeout=[a request that makes no progress for this long is broken off]:value:' \
	'--request-timeout=[most time for one attempt at one request; 0 is no limit]:value:' \
	'--notify-on=[which runs are told of\: those that failed, those that ended otherwise than the one before, or all]:value:(failure change always)' \
	'--notify-timeout=[most time that telling may take, all attempts together]:value:' \
	'--notify-ca-file=[PEM file with the certificate authorities to trust there; as for the buckets if not set]:FILE:_files' \
	'--notify-plain[other machines may be told without TLS\: by http, or by smtp without STARTTLS]' \
	'--notify-mail-to=[who gets a mail about it\: addresses, comma-separated]:ADDRESSES:' \
	'--notify-mail-from=[whom that mail is from]:ADDRESS:' \
	'--smtp-url=[the server that takes the mail\: smtp\://host\:587 with STARTTLS, or smtps\://host]:URL:' \
	'--smtp-user=[user there]:NAME:' \
	'--admin-listen=[where it listens\: HOST\:PORT, \:PORT for every address of the machine, unix\:/PATH, or off]:ADDRESS:' \
	'--admin-hosts=[names besides localhost by which it may be called, comma-separated, such as a Kubernetes service'\''s]:NAMES:' \
	'--drop-env=[variables that the application does not get\: names, comma-separated; AWS_* is all that begin so]:NAMES:' \
	'--status-file=[where the status goes; /run/storsync/status.json or /tmp/storsync-status.json if not set]:FILE:_files' \
	'--metrics-file=[where the figures of the last run go, for Prometheus'\'' node_exporter; nowhere if not set]:FILE:_files' \
	'--log-format=[lines for a person, or one JSON object a line]:value:(text json)' \
	'--log-level=[how much to log]:value:(error warn info debug)' \
	'--config=[the INI file with settings; the default one need not exist]:FILE:_files' \
	'--source-bucket=[the bucket\: its name, s3\://name, gs\://name or file\:///directory]:BUCKET:' \
	'--source-endpoint=[where the S3 service is; AWS if not set]:URL:' \
	'--source-region=[region of the bucket; us-east-1 if not set]:REGION:' \
	'--source-path-style=[where a request names the bucket\: in its path if yes, in its host name if no]:value:(auto yes no)' \
	'--source-use-fips-endpoint=[ask AWS at its endpoints with validated cryptography; as the profile says if auto]:value:(auto yes no)' \
	'--source-use-dualstack-endpoint=[ask AWS at its endpoints that have IPv6 as well; as the profile says if auto]:value:(auto yes no)' \
	'--source-request-payer=[who pays for requests to the bucket and what is read; some buckets have to be told\: requester]:value:(owner requester)' \
	'--source-user-project=[which project pays for requests to a gs\:// bucket; some have to be told]:PROJECT:' \
	'--source-allow-http[credentials and data may go over plain http, to other machines as well]' \
	'--source-ca-file=[PEM file with the certificate authorities to trust; if not set, SSL_CERT_FILE, the system'\''s, our own]:FILE:_files' \
	'--source-profile=[profile in the shared AWS files]:NAME:' \
	'--source-access-key-id=[access key]:ID:' \
	'--source-role-arn=[role to assume with a web identity token]:ARN:' \
	'--source-web-identity-token-file=[file with that token; it is read again whenever credentials are renewed]:FILE:_files' \
	'--source-role-session-name=[what the role'\''s session is called; made up if not set]:NAME:' \
	'--source-sts-endpoint=[where roles are assumed; AWS if not set]:URL:' \
	'--destination-bucket=[the bucket\: its name, s3\://name, gs\://name or file\:///directory]:BUCKET:' \
	'--destination-endpoint=[where the S3 service is; AWS if not set]:URL:' \
	'--destination-region=[region of the bucket; us-east-1 if not set]:REGION:' \
	'--destination-path-style=[where a request names the bucket\: in its path if yes, in its host name if no]:value:(auto yes no)' \
	'--destination-use-fips-endpoint=[ask AWS at its endpoints with validated cryptography; as the profile says if auto]:value:(auto yes no)' \
	'--destination-use-dualstack-endpoint=[ask AWS at its endpoints that have IPv6 as well; as the profile says if auto]:value:(auto yes no)' \
	'--destination-request-payer=[who pays for requests to the bucket and what is read; some buckets have to be told\: requester]:value:(owner requester)' \
	'--destination-user-project=[which project pays for requests to a gs\:// bucket; some have to be told]:PROJECT:' \
	'--destination-allow-http[credentials and data may go over plain http, to other machines as well]' \
	'--destination-ca-file=[PEM file with the certificate authorities to trust; if not set, SSL_CERT_FILE, the system'\''s, our own]:FILE:_files' \
	'--destination-profile=[profile in the shared AWS files]:NAME:' \
	'--destination-access-key-id=[access key]:ID:' \
	'--destination-role-arn=[role to assume with a web identity token]:ARN:' \
	'--destination-web-identity-token-file=[file with that token; it is read again whenever credentials are renewed]:FILE:_files' \
	'--destination-role-session-name=[what the role'\''s session is called; made up if not set]:NAME:' \
	'--destination-sts-endpoint=[where roles are assumed; AWS if not set]:URL:' \
	'(-)1:command:_command_names -e' \
	'*::argument:_normal'
