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

document.addEventListener('htmx:after:swap', () => localizeTimes(document))

// A page that the browser kept in memory may belong to a session that has ended.
window.addEventListener('pageshow', (event) => {
  if (event.persisted) window.location.reload()
})

localizeTimes(document)
