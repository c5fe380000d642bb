// The map over the tiles of a tile server.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import test from 'node:test'
import { assertAccessible, environment, PATHS, signIn, withPage } from './harness.mjs'

const PIXEL = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==', 'base64')
const expected = [new RegExp(`foreign request: ${environment.tiles}`)]

/** Serves tiles while it works. Returns the requests. */
async function withTiles(work) {
  const requests = []
  const server = createServer((request, response) => {
    requests.push({ path: request.url, referer: request.headers.referer, cookie: request.headers.cookie })
    response.writeHead(200, { 'Content-Type': 'image/png' }).end(PIXEL)
  })
  await new Promise((listening) => server.listen(new URL(environment.tiles).port, '127.0.0.1', listening))
  try {
    await work()
  } finally {
    server.closeAllConnections()
    await new Promise((closed) => server.close(closed))
  }
  return requests
}

async function open(page) {
  await signIn(page, environment.viewer)
  await page.locator('#total').waitFor()
  await page.goto(PATHS.map)
  await page.locator('.map.is-live').waitFor()
}

test('the tile server is the background of the map, and learns only the origin of the page', async () => {
  const requests = await withTiles(() =>
    withPage({ expected }, async (page) => {
      await open(page)
      await page.locator('.leaflet-tile-loaded').first().waitFor()
      await page.locator('.leaflet-control-attribution', { hasText: '© <b>Them' }).waitFor()
      await assertAccessible(page)
    }))
  assert.ok(requests.length > 0)
  for (const { path, referer, cookie } of requests) {
    assert.match(path, /^\/\d+\/\d+\/\d+\.png\?key=a$/)
    assert.equal(referer, `${environment.url}/`)
    assert.equal(cookie, undefined)
  }
})

test('a tile server that is unavailable is announced, and the stations are shown', () =>
  withPage({ expected: [...expected, /ERR_CONNECTION_REFUSED/] }, async (page) => {
    await open(page)
    await page.locator('#map-land-error').waitFor({ state: 'visible' })
    await page.locator('#map-list-summary', { hasText: /stations?/ }).waitFor()
  }))
