# storsync-init completion for bash; made by `make docs`
# shellcheck shell=bash
_storsync_init() {
	local word=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]} values at
	for ((at = 1; at < COMP_CWORD; at++)); do
		if [[ ${COMP_WORDS[at]} == -- ]]; then
			if declare -F _command_offset >/dev/null; then
				_command_offset $((at + 1))
			else
				mapfile -t COMPREPLY < <(compgen -c -f -- "$word")
			fi
			return
		fi
	done
	# --option=value is three words to bash.
	if [[ $word == = ]]; then
		word=
	elif [[ $option == = ]]; then
		option=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	COMPREPLY=()
	case $option in
	--environment) values='production development' ;;
	--deployment-id) values='' ;;
	--job) values='' ;;
	--shard) values='' ;;
	--public-object-search-paths) values='' ;;
	--private-object-dir) values='' ;;
	--exclude) values='' ;;
	--include) values='' ;;
	--filter-file) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	--min-interval) values='' ;;
	--schedule) values='' ;;
	--validate-schedule) values='' ;;
	--schedule-jitter) values='' ;;
	--max-failures) values='' ;;
	--on-failure) values='start stop' ;;
	--timeout) values='' ;;
	--wait) values='' ;;
	--lease-ttl) values='' ;;
	--compare) values='size newer etag' ;;
	--conflict) values='overwrite keep fail' ;;
	--keep-previous) values='off copies versions' ;;
	--runs-kept) values='' ;;
	--delete) values='off extra' ;;
	--max-delete) values='' ;;
	--tags) values='auto require ignore' ;;
	--acl) values='bucket copy private public-read authenticated-read bucket-owner-read bucket-owner-full-control' ;;
	--concurrency) values='' ;;
	--part-size) values='' ;;
	--plan) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	--plan-format) values='json json-all s3-batch sts' ;;
	--content-seed) values='' ;;
	--retries) values='' ;;
	--max-requests) values='' ;;
	--max-bytes) values='' ;;
	--connect-timeout) values='' ;;
	--stall-timeout) values='' ;;
	--request-timeout) values='' ;;
	--notify-on) values='failure change always' ;;
	--notify-timeout) values='' ;;
	--notify-ca-file) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	--notify-mail-to) values='' ;;
	--notify-mail-from) values='' ;;
	--smtp-url) values='' ;;
	--smtp-user) values='' ;;
	--admin-listen) values='' ;;
	--admin-hosts) values='' ;;
	--drop-env) values='' ;;
	--status-file) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	--metrics-file) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	--log-format) values='text json' ;;
	--log-level) values='error warn info debug' ;;
	--config) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	--source-bucket) values='' ;;
	--source-endpoint) values='' ;;
	--source-region) values='' ;;
	--source-path-style) values='auto yes no' ;;
	--source-use-fips-endpoint) values='auto yes no' ;;
	--source-use-dualstack-endpoint) values='auto yes no' ;;
	--source-request-payer) values='owner requester' ;;
	--source-user-project) values='' ;;
	--source-ca-file) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	--source-profile) values='' ;;
	--source-access-key-id) values='' ;;
	--source-role-arn) values='' ;;
	--source-web-identity-token-file) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	--source-role-session-name) values='' ;;
	--source-sts-endpoint) values='' ;;
	--destination-bucket) values='' ;;
	--destination-endpoint) values='' ;;
	--destination-region) values='' ;;
	--destination-path-style) values='auto yes no' ;;
	--destination-use-fips-endpoint) values='auto yes no' ;;
	--destination-use-dualstack-endpoint) values='auto yes no' ;;
	--destination-request-payer) values='owner requester' ;;
	--destination-user-project) values='' ;;
	--destination-ca-file) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	--destination-profile) values='' ;;
	--destination-access-key-id) values='' ;;
	--destination-role-arn) values='' ;;
	--destination-web-identity-token-file) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	--destination-role-session-name) values='' ;;
	--destination-sts-endpoint) values='' ;;
	--help) values='all' ;;
	*) values='-- --sync --serve --validate --status --health --check-config --check-access --runs --rollback --explain --print-config --json --help --version --environment --deployment-id --job --shard --public-object-search-paths --private-object-dir --exclude --include --filter-file --min-interval --schedule --validate-schedule --schedule-jitter --max-failures --on-failure --timeout --wait --lease-ttl --compare --conflict --keep-previous --runs-kept --delete --max-delete --tags --acl --concurrency --part-size --dry-run --plan --plan-format --strict --content --content-seed --retries --max-requests --max-bytes --connect-timeout --stall-timeout --request-timeout --notify-on --notify-timeout --notify-ca-file --notify-plain --notify-mail-to --notify-mail-from --smtp-url --smtp-user --admin-listen --admin-hosts --drop-env --status-file --metrics-file --log-format --log-level --config --source-bucket --source-endpoint --source-region --source-path-style --source-use-fips-endpoint --source-use-dualstack-endpoint --source-request-payer --source-user-project --source-allow-http --source-ca-file --source-profile --source-access-key-id --source-role-arn --source-web-identity-token-file --source-role-session-name --source-sts-endpoint --destination-bucket --destination-endpoint --destination-region --destination-path-style --destination-use-fips-endpoint --destination-use-dualstack-endpoint --destination-request-payer --destination-user-project --destination-allow-http --destination-ca-file --destination-profile --destination-access-key-id --destination-role-arn --destination-web-identity-token-file --destination-role-session-name --destination-sts-endpoint' ;;
	esac
	if [[ -n $values ]]; then mapfile -t COMPREPLY < <(compgen -W "$values" -- "$word"); fi
}
complete -F _storsync_init storsync-init
