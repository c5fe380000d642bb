// A table without stations, and then with one.

import assert from 'node:assert/strict'
import test from 'node:test'
import { assertAccessible, environment, PATHS, signIn, sql, withPage } from './harness.mjs'

test('an empty table says when stations appear', () =>
  withPage({}, async (page) => {
    await signIn(page, environment.viewer)
    const text = await page.locator('.stations').textContent()
    assert.match(text, /The table has no stations yet\. They appear after the first sync/)
    assert.equal(await page.locator('.rows, .pager, .exports').count(), 0)
    await assertAccessible(page)
    await page.getByLabel('Search').fill('x')
    await page.getByText('No station matches these filters').waitFor()
  }))

test('a fleet of one station is shown in the table, on the map and on its own page', () =>
  withPage({}, async (page) => {
    sql(environment.database, `insert into tarana_base_stations (serial_number, hostname, site_name, lat, lng, market, device_status, azimuth_deg)
      values ('ONLY', 'host', 'Hill', -30.5, 25.25, 'West', 1, 90)`)
    await signIn(page, environment.viewer)
    await page.locator('#total', { hasText: /^1$/ }).waitFor()
    assert.equal(await page.locator('.rows tbody tr').count(), 1)
    assert.match(await page.locator('.stations').textContent(), /1 station\b/)
    await assertAccessible(page)
    await page.goto(PATHS.map)
    await page.locator('.map.is-live').waitFor()
    assert.match(await page.locator('#map-list-summary').textContent(), /^1 station\.$/)
    // The first view was not at the largest zoom, where nothing around the station is known.
    await page.getByRole('button', { name: 'Zoom out' }).click()
    await page.waitForURL(/zoom=11&/)
    await assertAccessible(page)
    await page.locator('#map-list').getByRole('link', { name: 'ONLY' }).click()
    await page.getByRole('heading', { name: 'ONLY' }).waitFor()
    await assertAccessible(page)
  }))
