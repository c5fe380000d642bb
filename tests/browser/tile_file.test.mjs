// The map over a file of tiles that the operator serves: vector tiles that are land, or images.

import assert from 'node:assert/strict'
import { readFileSync, rmSync } from 'node:fs'
import test from 'node:test'
import { assertAccessible, environment, PATHS, signIn, withPage } from './harness.mjs'

const TILE_TYPE = 99
const isVector = readFileSync(environment.tiles)[TILE_TYPE] === 1
// Land in Protomaps' flavors light and dark.
const LAND = { light: [226, 223, 218], dark: [31, 31, 31] }

async function open(page) {
  await signIn(page, environment.viewer)
  await page.locator('#total').waitFor()
  await page.goto(PATHS.map)
  await page.locator('.map.is-live').waitFor()
}

/** Waits until a tile has the color of land in the middle. */
const waitForLand = (page, color) =>
  page.waitForFunction((color) => {
    const tile = document.querySelector('canvas.leaflet-tile-loaded')
    const pixel = tile?.getContext('2d').getImageData(tile.width / 2, tile.height / 2, 1, 1).data
    return pixel && color.every((value, index) => value === pixel[index])
  }, color)

/** Waits until a tile is an image. */
const waitForImage = (page) =>
  page.waitForFunction(() => document.querySelector('img.leaflet-tile-loaded')?.naturalWidth > 0)

test('the file of tiles is the background of the map', () =>
  withPage({ colorScheme: 'light', expected: [/willReadFrequently/] }, async (page) => {
    const statuses = []
    page.on('response', (response) => {
      if (response.url().endsWith('/tiles.pmtiles')) statuses.push(response.status())
    })
    await open(page)
    if (isVector) {
      await waitForLand(page, LAND.light)
      await page.emulateMedia({ colorScheme: 'dark' })
      await waitForLand(page, LAND.dark)
    } else {
      await waitForImage(page)
    }
    await page.locator('.leaflet-control-attribution', { hasText: '© Them' }).waitFor()
    assert.ok(statuses.length > 0)
    assert.deepEqual(statuses.filter((status) => status !== 206), [])
    assert.equal(await page.locator('#map-land-error').isVisible(), false)
    await assertAccessible(page)
  }))

test('a file of tiles that is gone is announced, and the stations are shown', () =>
  withPage({ expected: [/404/] }, async (page) => {
    rmSync(environment.tiles)
    await open(page)
    await page.locator('#map-land-error').waitFor({ state: 'visible' })
    await page.locator('#map-list-summary', { hasText: /stations?/ }).waitFor()
  }))
