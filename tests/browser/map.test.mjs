// The map of the stations.

import assert from 'node:assert/strict'
import test from 'node:test'
import { assertAccessible, environment, PATHS, signIn, withPage } from './harness.mjs'

const totals = JSON.parse(process.env.TARANA_TOTALS)
const number = (value) => value.toLocaleString('en-US')
// Three stations at one place, without an azimuth: browser.rs inserts them.
const ODD = { lat: -30.5, lng: 25.25 }
const close = `?search=odd-&zoom=15&lat=${ODD.lat}&lng=${ODD.lng}`

async function open(page, query = '') {
  await signIn(page, environment.viewer)
  await page.goto(PATHS.map + query)
}

const waitForMap = (page) => page.locator('.map.is-live').waitFor()
const view = (page) => new URL(page.url()).searchParams
const waitForZoom = (page, zoom) => page.waitForURL((url) => url.searchParams.get('zoom') === String(zoom))

/** Waits until the canvas has a color at a point of the map. */
const waitForPixel = (page, x, y, color) =>
  page.waitForFunction(([left, top, expected]) => {
    const canvas = document.querySelector('.map-live canvas')
    const box = canvas.getBoundingClientRect()
    const map = document.querySelector('.map-live').getBoundingClientRect()
    const scale = canvas.width / box.width
    const at = [(map.left + left - box.left) * scale, (map.top + top - box.top) * scale].map(Math.round)
    const copy = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true })
    copy.drawImage(canvas, ...at, 1, 1, 0, 0, 1, 1)
    return [...copy.getImageData(0, 0, 1, 1).data].join(' ') === expected
  }, [x, y, color])

const center = (page) =>
  page.locator('.map-live').evaluate((map) => ({ x: map.clientWidth / 2, y: map.clientHeight / 2 }))

test('the map shows land and stations, and a click on a station opens its page', () =>
  withPage({}, async (page) => {
    await open(page, close)
    await waitForMap(page)
    await page.locator('#map-list a').first().waitFor()
    assert.deepEqual(await page.locator('#map-list bdi').allTextContents(), ['ODD-LONG', 'ODD-RTL', 'ODD-SCRIPT'])
    const { x, y } = await center(page)
    // The dot in the middle is online; beside it is land.
    await waitForPixel(page, x, y, '16 112 58 255')
    await waitForPixel(page, x + 100, y + 100, '238 240 230 255')
    await page.locator('.map-live').click({ position: { x: x + 13, y } })
    await page.waitForURL(/base-stations\/ODD-SCRIPT/)
    assert.equal(await page.locator('h1').textContent(), 'ODD-SCRIPT')
    await page.goBack()
    await waitForMap(page)
    assert.deepEqual([view(page).get('zoom'), view(page).get('search')], ['15', 'odd-'])
  }))

test('a click on a group zooms in, and the view is kept on the way back from a station', () =>
  withPage({}, async (page) => {
    await open(page, `?zoom=1&lat=${ODD.lat}&lng=${ODD.lng}`)
    await waitForMap(page)
    const { x, y } = await center(page)
    const response = page.waitForResponse(/api\/v1\/map/)
    await page.locator('.map-live').press('+')
    await waitForZoom(page, 2)
    const { groups } = await (await response).json()
    const [group] = groups
    // Of the world at zoom 2, with 1,024 pixels.
    const project = ({ lat, lng }) => [
      (lng / 360) * 1024,
      (-Math.asinh(Math.tan((lat * Math.PI) / 180)) / (2 * Math.PI)) * 1024,
    ]
    const [from, to] = [project(ODD), project(group)]
    await page.locator('.map-live').click({ position: { x: x + to[0] - from[0], y: y + to[1] - from[1] } })
    await waitForZoom(page, 4)
    await page.locator('.map-live').press('ArrowRight')
    await page.waitForURL((url) => Number(url.searchParams.get('lng')) > group.lng + 1)
    const address = page.url()
    await page.reload()
    await waitForMap(page)
    assert.equal(page.url(), address)
  }))

test('the filters apply to the map, and the table has the same ones', () =>
  withPage({}, async (page) => {
    await open(page)
    await waitForMap(page)
    assert.equal(await page.locator('.toolbar b').textContent(), number(totals.stations))
    await page.getByLabel('Status').selectOption('Online')
    await page.getByLabel('Search').fill('odd-s')
    await page.getByRole('button', { name: 'Apply' }).click()
    await page.waitForURL(/online=true/)
    await waitForMap(page)
    assert.deepEqual(await page.locator('#map-list bdi').allTextContents(), ['ODD-SCRIPT'])
    await page.getByRole('link', { name: 'as a table' }).click()
    await page.waitForURL(/base-stations\?/)
    assert.deepEqual(Object.fromEntries(view(page)), { search: 'odd-s', online: 'true' })
    await page.getByRole('link', { name: 'on the map' }).click()
    await waitForMap(page)
    assert.equal(view(page).get('search'), 'odd-s')
    assert.equal(await page.getByLabel('Search').inputValue(), 'odd-s')
  }))

test('without JavaScript, the stations are links in a drawing', () =>
  withPage({ javaScriptEnabled: false }, async (page) => {
    await open(page)
    const counts = await page.locator('.map-drawing text').allTextContents()
    const single = await page.locator('.map-drawing .map-station').count()
    const sum = counts.reduce((total, count) => total + Number(count.replaceAll(',', '')), single)
    const without = /(\d+) without a position/.exec(await page.locator('.toolbar').textContent())
    assert.equal(sum + Number(without?.[1] ?? 0), totals.stations)
    await page.locator('.map-drawing .map-group').first().click()
    await page.waitForURL(/zoom=/)
    await page.getByRole('link', { name: 'Zoom in', exact: true }).click()
    await page.getByRole('link', { name: 'All stations' }).click()
    await page.waitForURL((url) => !url.searchParams.has('zoom'))
    await page.goto(PATHS.map + close)
    assert.equal(await page.locator('.map-drawing .map-station').count(), 3)
    // The policy of the page permits the file with the land: beside the stations is another color than in the sea.
    await page.goto(`${PATHS.map}?search=odd-&zoom=5&lat=${ODD.lat}&lng=${ODD.lng}`)
    const box = await page.locator('.map').boundingBox()
    const shot = (right, down) =>
      page.screenshot({ clip: { x: box.x + box.width / 2 + right, y: box.y + box.height / 2 + down, width: 4, height: 4 } })
    assert.notDeepEqual(await shot(-60, 0), await shot(0, 150))
    assert.deepEqual(await shot(0, 150), await shot(40, 160))
    await page.goto(PATHS.map + close)
    await page.getByRole('link', { name: 'ODD-RTL' }).click()
    await page.waitForURL(/base-stations\/ODD%2DRTL\?search=odd%2D/)
  }))

test('the map is accessible with and without JavaScript, and says what failed', () =>
  withPage({ expected: [/status of 503/] }, async (page) => {
    await page.route(/assets\/map\..*js$/, (route) => route.fulfill({ contentType: 'text/javascript', body: '' }))
    await open(page, '?online=false')
    await page.locator('.map-drawing a').first().waitFor()
    await assertAccessible(page)
    await page.unroute(/assets\/map\..*js$/)
    await page.goto(`${PATHS.map}?online=false`)
    await waitForMap(page)
    await assertAccessible(page)
    await page.route(/api\/v1\/map/, (route) =>
      route.fulfill({ status: 503, contentType: 'application/problem+json', body: '{"detail": "the database is away"}' }))
    await page.locator('.map-live').press('-')
    await page.getByRole('alert').getByText('the database is away').waitFor()
    await page.unroute(/api\/v1\/map/)
    await page.locator('.map-live').press('-')
    await page.getByRole('alert').waitFor({ state: 'hidden' })
  }))
