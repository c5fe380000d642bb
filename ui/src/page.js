// What the pages do beyond htmx: the browser's time zone, and the header that protects changes against forged requests.

const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content

const minutes = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })
const seconds = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })

/** Writes times in the browser's time zone; without JavaScript they stay in UTC. */
function localizeTimes(root) {
  for (const time of root.querySelectorAll('time[datetime]')) {
    const moment = new Date(time.dateTime)
    if (Number.isNaN(moment.getTime())) continue
    time.title = moment.toISOString().replace('T', ' ').replace(/\.\d+Z$/, ' UTC')
    time.textContent = ('seconds' in time.dataset ? seconds : minutes).format(moment)
  }
}

/** Names the browser's time zone in the footer. */
function nameTimeZone() {
  document.querySelector('#time-zone').textContent = `Unless noted otherwise, times are in your time zone, ${minutes.resolvedOptions().timeZone}.`
}

document.addEventListener('htmx:config:request', (event) => {
  const token = meta('csrf-token')
  if (token) event.detail.ctx.request.headers['X-CSRF-Token'] = token
})

document.addEventListener('htmx:after:swap', () => {
  localizeTimes(document)
  updateClocks()
})

// The server sends a heartbeat every 15 seconds. A connection that is silent for longer is dead.
const SILENCE_MS = 40_000
// A connection that is back by then was not missed.
const RECONNECT_MS = 3_000
let connection
let silence
let lostSince
let announcement
// A message that was already on its way does not mean that the browser is online again.
let isOffline = false

/** Says that live updates are lost, and since when, unless they are back after this time. */
function liveUpdatesLost(delay = 0) {
  lostSince ??= new Date()
  clearTimeout(announcement)
  announcement = setTimeout(() => {
    const message = document.querySelector('#live-lost')
    if (!message?.hidden) return
    message.querySelector('time').dateTime = lostSince.toISOString()
    message.hidden = false
    localizeTimes(message)
  }, delay)
}

function liveUpdatesReceived() {
  if (isOffline) return
  clearTimeout(announcement)
  lostSince = undefined
  const message = document.querySelector('#live-lost')
  if (message) message.hidden = true
}

/** Ends the current connection, so that htmx connects again. */
function reconnect() {
  connection?.reader?.cancel()
}

function listenForSilence() {
  clearTimeout(silence)
  silence = setTimeout(() => {
    liveUpdatesLost()
    reconnect()
  }, SILENCE_MS)
}

document.addEventListener('htmx:sse:before:connection', (event) => {
  connection = event.detail.connection
  if (connection.attempt > 0) liveUpdatesLost(RECONNECT_MS)
})
document.addEventListener('htmx:sse:after:connection', listenForSilence)
document.addEventListener('htmx:sse:after:message', (event) => {
  listenForSilence()
  const { event: name } = event.detail.message
  if (name === 'unavailable') liveUpdatesLost()
  if (!name) liveUpdatesReceived()
})
document.addEventListener('htmx:sse:error', (event) => {
  // The session has ended: the sign-in page leads back here.
  if (event.detail.status === 401) window.location.reload()
  liveUpdatesLost(RECONNECT_MS)
})
// A failed request of a page that asks for news, or the first one of a stream.
for (const name of ['htmx:error', 'htmx:response:error']) {
  document.addEventListener(name, () => liveUpdatesLost())
}
// It also follows a failed request, which swaps nothing.
document.addEventListener('htmx:after:swap', (event) => {
  if (!connection && event.detail.ctx?.response?.status < 400) liveUpdatesReceived()
})
window.addEventListener('offline', () => {
  isOffline = true
  liveUpdatesLost()
})
window.addEventListener('online', () => {
  isOffline = false
  reconnect()
})

/** Milliseconds as hours, minutes and seconds. */
function clock(milliseconds) {
  const total = Math.max(0, Math.round(milliseconds / 1000))
  const parts = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60]
  return parts.map((part) => String(part).padStart(2, '0')).join(':')
}

/** Counts down to a time, and up from one. */
function updateClocks() {
  for (const element of document.querySelectorAll('[data-until]')) {
    element.textContent = `in ${clock(new Date(element.dataset.until) - Date.now())}`
  }
  for (const element of document.querySelectorAll('[data-since]')) {
    element.textContent = clock(Date.now() - new Date(element.dataset.since))
  }
}

setInterval(updateClocks, 1000)
updateClocks()

// The same address twice in a row would make the back button seem to do nothing.
document.addEventListener('htmx:before:history:update', (event) => {
  const { history } = event.detail
  if (history.path === window.location.pathname + window.location.search) history.type = 'replace'
})

// A page that the browser kept in memory may belong to a session that has ended.
window.addEventListener('pageshow', (event) => {
  if (event.persisted) window.location.reload()
})

localizeTimes(document)
nameTimeZone()
