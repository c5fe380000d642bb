// Measures the pages in milliseconds, for `make bench -- pages`: the median of several rounds, each in a new browser profile. A measurement of an interaction
// includes the driver, which adds some milliseconds.

import { closeBrowser, environment, PATHS, signIn, withPage } from './harness.mjs'

const ROUNDS = 5

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]

/** Opens a page. Returns the time from the navigation to the first paint. */
async function firstPaint(page, path) {
  await page.goto(path)
  return page.evaluate(
    () =>
      new Promise((resolve) => {
        const report = (list) => list.getEntriesByName('first-contentful-paint').forEach((entry) => resolve(entry.startTime))
        new PerformanceObserver(report).observe({ type: 'paint', buffered: true })
      }),
  )
}

async function timed(action) {
  const begin = performance.now()
  await action()
  return performance.now() - begin
}

/** Drags the map, and returns the longest time between two frames. */
async function longestFrame(page) {
  const { x, y, width, height } = await page.locator('.map-live').boundingBox()
  await page.evaluate(() => {
    window.longest = 0
    let last = performance.now()
    const next = (now) => {
      window.longest = Math.max(window.longest, now - last)
      last = now
      requestAnimationFrame(next)
    }
    requestAnimationFrame(next)
  })
  await page.mouse.move(x + width / 2, y + height / 2)
  await page.mouse.down()
  for (let step = 1; step <= 20; step += 1) await page.mouse.move(x + width / 2 + 10 * step, y + height / 2)
  await page.mouse.up()
  return page.evaluate(() => window.longest)
}

async function round(page) {
  await signIn(page, environment.viewer)
  await page.locator('#total').waitFor()
  const measured = {
    'base stations: first paint': await firstPaint(page, PATHS.baseStations),
    '… another sort order is shown': await timed(async () => {
      await page.getByRole('link', { name: 'Site', exact: true }).click()
      await page.locator('[aria-sort]', { hasText: 'Site' }).waitFor()
    }),
    '… a search is shown': await timed(async () => {
      await page.getByLabel('Search').fill('S134F0000000101')
      await page.keyboard.press('Enter')
      await page.getByText('1–1 of 1').waitFor()
    }),
    'map: first paint': await firstPaint(page, PATHS.map),
  }
  measured['… the stations are shown'] = await page.evaluate(async () => {
    while (!document.querySelector('.map.is-live')) await new Promise(requestAnimationFrame)
    return performance.now()
  })
  measured['… dragged: longest time between two frames'] = await longestFrame(page)
  measured['… zoomed: the stations are shown'] = await timed(async () => {
    const response = page.waitForResponse(/api\/v1\/map/)
    await page.getByRole('button', { name: 'Zoom in' }).click()
    await (await response).finished()
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))))
  })
  return measured
}

const rounds = []
for (let count = 0; count < ROUNDS; count += 1) await withPage({}, async (page) => rounds.push(await round(page)))
const names = Object.keys(rounds[0])
await closeBrowser()
console.log(JSON.stringify(names.map((what) => ({ what, milliseconds: median(rounds.map((measured) => measured[what])) }))))
