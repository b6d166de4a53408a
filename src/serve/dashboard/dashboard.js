'use strict';

// What the server says is shown as text, never as markup: keys are anything at all.

const $ = id => document.getElementById(id);

// A tag with attributes and children; null and false are left out.
function h(tag, attributes, ...children) {
	const element = document.createElement(tag);
	for (const name in attributes) if (attributes[name]) element.setAttribute(name, attributes[name]);
	element.append(...children.flat(9).filter(child => child || child === 0));
	return element;
}

// Replaces what an element holds, if it is to change: who selects a text, or has it read out, is not disturbed.
function fill(element, ...children) {
	const fresh = h('div', {}, ...children);
	if (fresh.innerHTML !== element.innerHTML) element.replaceChildren(...fresh.childNodes);
}

// --- words ---

// Tone, sign, words.
const SIGNS = {ok: 'M6 12.5l4 4 8-9', bad: 'M8 8l8 8m0-8l-8 8', warn: 'M12 6v7.5m0 4v.1', calm: 'M7 12h10',
	run: 'M18 12a6 6 0 1 1-2-4.5m.5-3v3.5H13'};
const STATES = {
	'synced': ['ok', 'done'],
	'already-synced': ['ok', 'done'],
	'rolled-back': ['ok', 'done'],
	'too-soon': ['ok', 'not due yet'],
	'nothing-to-do': ['ok', 'has nothing to do'],
	'inactive': ['calm', 'left out'],
	'partial': ['bad', 'incomplete'],
	'failed': ['bad', 'failed'],
	'interrupted': ['warn', 'ended early'],
};
const MODES = {'deploy': 'First sync', 'sync': 'Sync', 'dry-run': 'Dry run', 'validate': 'Validation', 'rollback': 'Rollback'};
const ASKED = {http: ', by request', schedule: ', by the schedule', signal: ', by a signal'};
const KINDS = {
	missing: ['warn', 'missing at the destination'],
	different: ['warn', 'different'],
	extra: ['calm', 'only at the destination'],
};
const AGAIN = 'The next sync goes on where this one ended.';
const AGAIN_BACK = 'Roll back again: it goes on where this one ended.';
const CURES = {
	'configuration': 'A setting is wrong: storsync-init --check-config names it.',
	'unreachable': 'Check endpoint, network and proxy; the service may be down. ' + AGAIN,
	'permission': 'A right is missing: storsync-init --check-access names it.',
	'credentials': 'The service does not accept the keys: renew them.',
	'timeout': AGAIN,
	'interrupted': AGAIN,
	'': 'docs/MESSAGES.md has the cure for each message; the log has all messages.',
};

const count = n => Number(n ?? 0).toLocaleString('en');

function size(bytes) {
	let unit = 0;
	for (bytes = Number(bytes ?? 0); bytes >= 1024 && unit < 4; unit++) bytes /= 1024;
	return (unit ? bytes.toFixed(2) : bytes) + ' ' + ['B', 'KB', 'MB', 'GB', 'TB'][unit];
}

function span(ms) {
	const s = Math.round(ms / 1000);
	if (ms < 9950) return (ms / 1000).toFixed(1) + ' s';
	if (s < 120) return s + ' s';
	if (s < 7200) return Math.floor(s / 60) + ' min';
	return s < 172800 ? Math.floor(s / 3600) + ' h' : Math.floor(s / 86400) + ' days';
}

// The server's clock counts: ours may be wrong.
let skew = 0;
const now = () => Date.now() + skew;

const clock = options => new Intl.DateTimeFormat('en-GB', {hour: '2-digit', minute: '2-digit', second: '2-digit', ...options});
const today = clock({}), otherDay = clock({day: 'numeric', month: 'short'});
const local = date => (date.toDateString() === new Date(now()).toDateString() ? today : otherDay).format(date);

// A time, local; pointing at it shows UTC.
function time(text) {
	const date = new Date(text);
	return isNaN(date) ? '' : h('time', {datetime: text, title: text}, local(date));
}

function ago(text) {
	const ms = now() - new Date(text);
	return isNaN(ms) ? '' : ms < 0 ? ` (in ${span(-ms)})` : ms < 10000 ? ' (just now)' : ` (${span(ms)} ago)`;
}

// A key: signs that would be invisible, or turn others around, are spelt out.
function key(text) {
	return h('bdi', {class: 'key'}, text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, c => '\\u{' + c.codePointAt(0).toString(16) + '}'));
}

const chip = (tone, text) => h('span', {class: 'kind', 'data-tone': tone}, text);
const pair = (name, ...value) => value.some(part => part) ? [h('dt', {}, name), h('dd', {}, ...value)] : [];
const named = run => MODES[run.mode] ?? run.mode;
const copies = run => run.mode === 'sync' || run.mode === 'deploy';
const undoes = run => run?.mode === 'rollback';

// Tone and words for a run that is over.
function judged(run) {
	const [tone, words] = STATES[run.state] ?? ['warn', run.state];
	if (run.mode === 'validate' && run.state === 'synced') return [tone, 'Source and destination are equal'];
	if (run.mode === 'validate' && run.state === 'partial') return ['warn', 'Source and destination differ'];
	return [tone, words === 'done' && copies(run) ? 'In sync' : named(run) + ' ' + words];
}

// --- the page ---

let seen = null, heard = 0, offline = null, samples = [];

// The last run that says something about the destination: a dry run changed nothing.
function telling() {
	return seen.last?.mode === 'dry-run' ? seen.runs.find(run => run.mode !== 'dry-run') : seen.last;
}

function drawHero() {
	const run = seen.run, last = telling();
	let [tone, words] = last ? judged(last) : ['calm', 'Nothing has run yet'];
	let message = last?.message ?? '', when = [];
	if (seen.environment === 'production' && words === 'In sync') words = 'Production is in sync';
	if (last) when = [named(last), ', ended ', time(last.finishedAt), ago(last.finishedAt)];
	if (run) {
		when = [last && ['Before: ', words, '. '], 'Begun ', time(run.startedAt), ago(run.startedAt), ASKED[run.by]];
		[tone, words, message] = ['run', named(run) + ' under way', run.message];
		if (run.state === 'waiting') message = 'Waiting for another replica: ' + run.waitingFor;
	}
	if (offline) {
		when = ['Then: ', words, '. ', when];
		[tone, words] = ['warn', 'No answer since ' + local(new Date(offline))];
		message = 'What you see is of ' + local(new Date(seen.now)) + '. Trying again…';
	}
	$('hero').dataset.tone = tone;
	$('sign').setAttribute('d', SIGNS[tone]);
	fill($('state'), words);
	fill($('message'), message !== 'Syncing' && message);
	fill($('when'), when);
	document.title = ({ok: '✓ ', bad: '✗ ', warn: '! ', run: '↻ '}[tone] ?? '') + words + ' – storsync-init';
}

// Bytes a second, of the last ten seconds.
function rate(run, bytes) {
	const at = performance.now();
	if (samples.length && (samples[0].id !== run.id || samples.at(-1).bytes > bytes)) samples = [];
	samples.push({id: run.id, bytes, at});
	while (samples.length > 2 && at - samples[0].at > 10000) samples.shift();
	const ms = at - samples[0].at;
	return ms > 500 ? size(Math.round((bytes - samples[0].bytes) / ms * 1000)) : '–';
}

function drawProgress() {
	const run = seen.run;
	$('live').hidden = !run;
	if (!run) return samples = [];
	const figure = (name, value) => h('div', {}, h('dt', {}, name), h('dd', {}, value));
	// Of what is under way, too; what a service copies inside of it counts once it is done.
	const bytes = Math.max(run.totalSize ?? 0, run.progress?.movedBytes ?? 0);
	fill($('figures'),
		run.mode === 'validate' ? figure('objects compared', count(run.progress?.listed)) :
			[figure(undoes(run) ? 'put back or removed' : run.mode === 'dry-run' ? 'would be copied' : 'objects copied', count(run.syncedFiles)),
				figure(undoes(run) ? 'as before' : 'up to date', count(run.skippedFiles))],
		run.deletedFiles > 0 && figure(run.mode === 'dry-run' ? 'would be removed' : 'removed', count(run.deletedFiles)),
		run.failedFiles > 0 && figure('failed', count(run.failedFiles)),
		figure('bytes', size(bytes)),
		figure('per second', rate(run, bytes)));
}

function drawActions() {
	const run = seen.run;
	$('buttons').hidden = seen.readOnly;
	$('locked').hidden = !seen.readOnly;
	for (const id of ['sync', 'dry', 'validate', 'rollback']) $(id).setAttribute('aria-disabled', !!run);
	if (!run && document.activeElement === $('stop')) $('sync').focus();
	$('stop').hidden = !run;
}

// How the run has ended that was asked for here.
function drawResult() {
	if (seen.run || seen.last?.id !== mine) return;
	say(`Run ${mine} has ended: ${seen.last.message}`);
	mine = null;
}

function drawTrouble() {
	const last = telling(), errors = last?.errors ?? [];
	$('trouble').hidden = !last?.error && !errors.length;
	const cure = CURES[errors[0]?.kind] ?? CURES[last?.error?.kind] ?? CURES[''];
	fill($('cure'), undoes(last) ? cure.replace(AGAIN, AGAIN_BACK) : cure);
	fill($('errors'), errors.map(error => h('li', {}, h('div', {}, chip('bad', error.kind || 'failed')), key(error.file), h('span', {class: 'why'}, error.error))));
}

function drawFacts() {
	const application = seen.application, next = due => due ? [time(due.next), ago(due.next)] : 'no schedule';
	fill($('facts'),
		pair('Source', seen.source && key(seen.source)),
		pair('Destination', seen.destination && key(seen.destination)),
		pair('Environment', seen.environment, seen.environmentSource && h('span', {class: 'why'}, 'by ' + seen.environmentSource)),
		application && pair('Application', application.running ? `running, process ${application.pid}` : 'does not run'),
		pair('Next sync', next(seen.schedules?.sync)),
		pair('Next validation', next(seen.schedules?.validate)),
		pair('Deployment', seen.deploymentId));
}

function drawDifferences() {
	const found = seen.differences;
	$('differ').hidden = !found;
	if (!found) return;
	const numbers = ['missing', 'different', 'extra', 'unknown'].filter(kind => found[kind] > 0).map(kind => count(found[kind]) + ' ' + kind);
	fill($('compared'), (numbers.join(', ') || 'None') + ', as of ', time(found.at), ago(found.at), '.',
		seen.runs.some(run => run.finishedAt > found.at && (copies(run) || undoes(run))) ? ' Something was written since: validate again.' :
			(found.missing > 0 || found.different > 0) && ' A sync copies what is missing or different.');
	fill($('keys'), found.objects.map(object => {
		const [tone, name] = KINDS[object.kind] ?? ['warn', object.kind];
		return h('li', {}, h('div', {}, chip(tone, name)), key(object.key));
	}));
	fill($('more'), found.more > 0 && `and ${count(found.more)} more; storsync-init --validate --json lists them`);
}

function drawRuns() {
	const removed = seen.runs.some(run => run.deletedFiles > 0); // else the column says nothing
	const names = ['Run', 'Result', 'Begun', 'Took', 'Copied', 'Up to date', removed && 'Removed', 'Failed', 'Bytes'];
	const row = (tag, role, cells) => h('tr', {role: 'row'}, cells.map((cell, i) => names[i] && h(tag, {role, 'data-name': names[i], class: i > 2 && 'n'}, cell)));
	if (seen.runs.length) fill($('runs'), h('table', {role: 'table', 'aria-labelledby': 'last'},
		h('thead', {role: 'rowgroup'}, row('th', 'columnheader', names)),
		h('tbody', {role: 'rowgroup'}, seen.runs.map(run => {
			const [tone, words] = judged(run), figure = text => run.mode === 'validate' ? '–' : text;
			return row('td', 'cell', [`${run.id} · ${named(run)}`, chip(tone, words),
				time(run.startedAt), span(run.durationMs), figure(count(run.syncedFiles)),
				figure(count(run.skippedFiles)), figure(count(run.deletedFiles)), figure(count(run.failedFiles)), figure(size(run.totalSize))]);
		}))));
}

function draw() {
	fill($('version'), seen.version, seen.environment && ' · ' + seen.environment);
	drawHero();
	drawProgress();
	drawActions();
	drawResult();
	drawTrouble();
	drawFacts();
	drawDifferences();
	drawRuns();
}

// --- where it comes from: events, or asking again and again where they do not arrive ---

let events = null, tried = -Infinity, asking = false;

function take(text, how) {
	const found = JSON.parse(text);
	if (!Array.isArray(found.runs)) throw found; // whoever that was, it is not our server
	seen = found;
	skew = new Date(seen.now) - Date.now() || 0;
	heard = performance.now();
	offline = null;
	$('link').dataset.tone = 'ok';
	fill($('link'), how);
	draw();
}

function lost() {
	offline ??= now();
	$('link').dataset.tone = 'warn';
	fill($('link'), 'No answer');
	if (seen) return draw();
	fill($('state'), 'No answer');
	fill($('message'), 'Trying again…');
}

const call = (path, how) => fetch(path, {cache: 'no-store', signal: AbortSignal.timeout(10000), ...how});
const live = () => events?.readyState === EventSource.OPEN;

async function poll() {
	if (asking) return;
	asking = true;
	try {
		const answer = await call('status');
		if (!answer.ok) throw answer;
		take(await answer.text(), live() ? 'Live' : 'Asking');
	} catch {
		lost();
	} finally {
		asking = false;
	}
}

// Every two seconds: without a stream of events ask, and now and then try to have one. It may be dead without our knowing, so
// when it was silent for long ask as well. Who does not look at the page needs no connection.
function look() {
	if (document.hidden) return events?.close();
	if ((!events || events.readyState === EventSource.CLOSED) && performance.now() - tried > 10000) {
		tried = performance.now();
		events = new EventSource('events');
		events.addEventListener('status', event => take(event.data, 'Live'));
		events.onerror = poll;
	}
	if (seen ? !live() || performance.now() - heard > 25000 : performance.now() - tried > 3000) poll();
}

document.addEventListener('visibilitychange', () => {
	tried = -Infinity;
	look();
});

// --- asking for something ---

// The token is kept by this tab, if the browser lets it, else by this page.
let token = '';
try {
	token = sessionStorage.token ?? '';
} catch {}

function keep(value) {
	token = value;
	try {
		sessionStorage.token = value;
	} catch {}
}

const say = (...words) => fill($('said'), ...words);
let asked = null, mine = null; // what the dialog is about; the run that was begun here

function ask(request, problem = '') {
	asked = request;
	fill($('what'), request.what());
	fill($('wrong'), problem);
	$('secret').hidden = !!token;
	$('token').value = '';
	$('token').toggleAttribute('aria-invalid', !!problem);
	if (!$('ask').open) $('ask').showModal();
	$(token ? 'cancel' : 'token').focus();
}

const WRONG = 'This token is wrong. It has to be the value of admin_token.';

async function send(request) {
	let answer, told;
	say('Asking…');
	try {
		answer = await call(request.path, {method: request.method ?? 'POST', headers: {authorization: 'Bearer ' + token}});
		told = await answer.json().catch(() => ({}));
	} catch {
		say('No answer. Whether it was heard is not known: the state above will tell.');
		return poll();
	}
	if (answer.status === 401) {
		keep('');
		say();
		return ask(request, WRONG);
	}
	const error = told.error ?? {};
	if (answer.ok && request.method) say('The run is told to end.');
	else if (answer.ok) say(`Run ${mine = told.run?.id} has begun.`), drawResult();
	else if (error.code === 'busy') say(busy(error.runId));
	else say(error.message ?? `The server answered ${answer.status}.`);
	drawActions();
	if (!live()) poll();
}

function want(request, title) {
	fill($('asked'), title);
	fill($('go'), title);
	if (seen.run && !request.method) return say(busy(seen.run.id));
	token && !request.grave ? send(request) : ask(request);
}

const busy = id => `Run ${id} is under way. Wait for its end, or stop it.`;
const sides = () => [key(seen.source), ' to ', key(seen.destination)];
const REQUESTS = {
	sync: {path: 'sync', what: () => ['Copies what is missing or changed from ', sides(), '.']},
	dry: {path: 'sync?dry_run=true', what: () => ['Looks what a sync would copy from ', sides(), '. Nothing is written.']},
	validate: {path: 'validate', what: () => ['Compares ', sides(), '. Nothing is written.']},
	stop: {path: 'run', method: 'DELETE', what: () => undoes(seen.run) ? 'What was undone stays so. ' + AGAIN_BACK : 'What was copied stays. ' + AGAIN},
	// Asked each time, not only for the token.
	rollback: {path: 'rollback', grave: true, what: () => ['Undo the last sync that changed something: ', key(seen.destination),
		' will look as before it, but for what has been changed there since. This takes a sync that had keep_previous set, and cannot be rolled back itself.']},
};
for (const id in REQUESTS) $(id).addEventListener('click', () => want(REQUESTS[id], $(id).textContent));
$('cancel').addEventListener('click', () => $('ask').close());
$('form').addEventListener('submit', event => {
	event.preventDefault();
	if (!$('secret').hidden) {
		const typed = $('token').value.trim();
		if (!/^[ -~]+$/.test(typed)) return ask(asked, WRONG); // no other can be sent in a header
		keep(typed);
	}
	$('ask').close();
	send(asked);
});

look();
setInterval(look, 2000);
setInterval(() => seen && drawHero(), 10000);
