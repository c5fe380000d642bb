// What the pages do beyond htmx: the browser's time zone, and the header that protects changes against forged requests.

const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content

/** Writes times in the browser's time zone; without JavaScript they stay in UTC. */
function localizeTimes(root) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })
  for (const time of root.querySelectorAll('time[datetime]')) {
    const moment = new Date(time.dateTime)
    if (Number.isNaN(moment.getTime())) continue
    time.title = moment.toISOString().replace('T', ' ').replace(/\.\d+Z$/, ' UTC')
    time.textContent = format.format(moment)
  }
}

document.addEventListener('htmx:config:request', (event) => {
  const token = meta('csrf-token')
  if (token) event.detail.ctx.request.headers['X-CSRF-Token'] = token
})

document.addEventListener('htmx:after:swap', () => {
  localizeTimes(document)
  countDown()
})

// The server sends a heartbeat every 15 seconds. A connection that is silent for longer is dead.
const SILENCE_MS = 40_000
let silence
let connection

/** Says that live updates are lost, and since when. */
function showLiveUpdatesLost() {
  const message = document.querySelector('#live-lost')
  if (!message?.hidden) return
  const time = message.querySelector('time')
  time.dateTime = new Date().toISOString()
  message.hidden = false
  localizeTimes(message)
}

/** Ends the current connection, so that htmx connects again. */
function reconnect() {
  connection?.reader?.cancel()
}

function liveUpdatesReceived(event) {
  connection = event.detail.connection
  const message = document.querySelector('#live-lost')
  if (message) message.hidden = true
  clearTimeout(silence)
  silence = setTimeout(() => {
    showLiveUpdatesLost()
    reconnect()
  }, SILENCE_MS)
}

// A stream whose first request fails has no connection yet: htmx reports it as the failure of a request.
for (const name of ['htmx:sse:error', 'htmx:error', 'htmx:response:error']) {
  document.addEventListener(name, showLiveUpdatesLost)
}
for (const name of ['htmx:sse:after:connection', 'htmx:sse:after:message']) {
  document.addEventListener(name, liveUpdatesReceived)
}
window.addEventListener('offline', showLiveUpdatesLost)
window.addEventListener('online', reconnect)

/** Counts down to a time in hours, minutes and seconds. */
function countDown() {
  for (const element of document.querySelectorAll('[data-until]')) {
    const seconds = Math.max(0, Math.round((new Date(element.dataset.until) - Date.now()) / 1000))
    const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
    element.textContent = `in ${parts.map((part) => String(part).padStart(2, '0')).join(':')}`
  }
}

setInterval(countDown, 1000)
countDown()

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
