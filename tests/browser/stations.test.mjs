// The table of stations, its exports, and the page of a station.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { assertAccessible, environment, PATHS, signIn, withPage } from './harness.mjs'

const totals = JSON.parse(process.env.TARANA_TOTALS)
const changed = process.env.TARANA_CHANGED
const number = (value) => value.toLocaleString('en-US')
const ODD = 'Odd "& Sons'

const range = (page) => page.locator('.station-table [role=status] b').textContent()
const serials = (page) => page.locator('.rows .serial').allTextContents()
const parameters = (page) => Object.fromEntries(new URL(page.url()).searchParams)
const waitForRange = (page, text) => page.locator('.station-table [role=status] b', { hasText: text }).waitFor()
const waitForParameters = (page, expected) =>
  page.waitForURL((url) => JSON.stringify(Object.fromEntries(url.searchParams)) === JSON.stringify(expected))

async function open(page, path = '') {
  await signIn(page, environment.viewer)
  await page.goto(PATHS.baseStations + path)
}

/** Counts loads of whole pages. */
function loads(page) {
  const counter = { count: 0 }
  page.on('request', (request) => {
    if (request.resourceType() === 'document') counter.count += 1
  })
  return counter
}

test('filters, sort and pages replace the table only and are kept in the address', () =>
  withPage({}, async (page) => {
    await open(page)
    const documents = loads(page)
    assert.equal(await range(page), `1–50 of ${number(totals.stations)}`)
    await page.getByRole('link', { name: 'Next' }).click()
    await waitForRange(page, `51–100 of ${number(totals.stations)}`)
    assert.deepEqual(parameters(page), { offset: '50' })
    assert.equal(await page.evaluate(() => document.activeElement.id), 'page-next', 'the focus is kept')
    await page.getByRole('link', { name: 'Last', exact: true }).click()
    await waitForParameters(page, { offset: String(Math.floor((totals.stations - 1) / 50) * 50) })
    await page.locator('#page-next[aria-disabled]').waitFor()

    await page.getByRole('link', { name: 'Serial number' }).click()
    await waitForParameters(page, { order: 'descending' })
    const descending = await serials(page)
    assert.deepEqual(descending, descending.toSorted().toReversed())
    assert.equal(await page.getByRole('columnheader', { name: 'Serial number' }).getAttribute('aria-sort'), 'descending')
    assert.equal(await page.evaluate(() => document.activeElement.id), 'sort-serial')

    await page.getByLabel('Search').pressSequentially('odd-')
    await waitForRange(page, '1–3 of 3')
    assert.deepEqual(parameters(page), { search: 'odd-', order: 'descending' })
    assert.equal(await page.evaluate(() => document.activeElement.id), 'filter-search')
    await page.getByLabel('Market').selectOption(ODD)
    await waitForParameters(page, { search: 'odd-', market: ODD, order: 'descending' })
    await page.getByLabel('Status').selectOption('Offline')
    await page.getByText('No station matches these filters').waitFor()
    await assertAccessible(page)
    assert.equal(documents.count, 0, 'no page was loaded')

    await page.getByRole('link', { name: 'Clear filters' }).first().click()
    await waitForParameters(page, { order: 'descending' })
    assert.equal(await page.getByLabel('Search').inputValue(), '')
  }))

test('the back button restores the table and the form', () =>
  withPage({}, async (page) => {
    await open(page)
    await page.getByLabel('Status').selectOption('Online')
    await waitForRange(page, `of ${number(totals.online)}`)
    await page.getByLabel('Market').selectOption(ODD)
    await waitForRange(page, '1–3 of 3')
    await page.goBack()
    await waitForRange(page, `of ${number(totals.online)}`)
    assert.deepEqual(parameters(page), { online: 'true' })
    assert.equal(await page.getByLabel('Market').inputValue(), '')
    assert.equal(await page.getByLabel('Status').inputValue(), 'true')
    await page.goForward()
    await waitForRange(page, '1–3 of 3')
    assert.equal(await page.getByLabel('Market').inputValue(), ODD)
    // Of the restored page, the form still works.
    await page.getByLabel('Search').fill('rtl')
    await waitForRange(page, '1–1 of 1')
    await page.getByRole('link', { name: 'ODD-RTL' }).click()
    await page.getByRole('link', { name: 'Back to the list' }).click()
    await waitForParameters(page, { search: 'rtl', market: ODD, online: 'true' })
    assert.equal(await range(page), '1–1 of 1')
  }))

test('everything works without JavaScript', () =>
  withPage({ javaScriptEnabled: false }, async (page) => {
    await open(page)
    await page.getByLabel('Search').fill('odd-')
    await page.getByLabel('Status').selectOption('Online')
    await page.getByRole('button', { name: 'Apply' }).click()
    await page.waitForURL(/search/)
    assert.deepEqual(parameters(page), { search: 'odd-', online: 'true' })
    assert.equal(await range(page), '1–3 of 3')
    await page.getByRole('link', { name: 'Site' }).click()
    await page.getByLabel('Search').fill('')
    await page.getByRole('button', { name: 'Apply' }).click()
    await page.waitForURL((url) => !url.searchParams.has('search'))
    assert.deepEqual(parameters(page), { online: 'true', sort: 'siteName' }, 'a filter keeps the sort')
    await page.getByRole('link', { name: 'Next' }).click()
    assert.equal(await range(page), `51–100 of ${number(totals.online)}`)
    await page.locator('.rows .serial a').first().click()
    await page.getByRole('link', { name: 'Back to the list' }).click()
    assert.deepEqual(parameters(page), { online: 'true', sort: 'siteName', offset: '50' })
  }))

test('scripts, text from right to left and long names are only text', () =>
  withPage({}, async (page) => {
    let dialogs = 0
    page.on('dialog', (dialog) => {
      dialogs += 1
      return dialog.dismiss()
    })
    await open(page, '?search=ODD-')
    const sites = await page.locator('.rows .site').allTextContents()
    assert.deepEqual(sites, ['W'.repeat(4000), '\u05ea\u05d7\u05e0\u05d4 7 \u202eabc', '<script>alert(1)</script>'])
    const heights = await page.locator('.rows tbody tr').evaluateAll((rows) => rows.map((row) => row.clientHeight))
    assert.ok(Math.max(...heights) < 90, `${heights}: long names are cut`)
    const edge = await page.locator('.rows .site bdi').nth(1).evaluate((text) => text.getBoundingClientRect().left)
    const cell = await page.locator('.rows .site').nth(1).evaluate((text) => text.getBoundingClientRect().left)
    assert.ok(edge - cell < 20, 'a name from right to left begins at the edge of its column')
    await assertAccessible(page)
    for (const [serial, site] of [['ODD-SCRIPT', '<script>alert(1)</script>'], ['ODD-LONG', 'W'.repeat(4000)], ['ODD-RTL', sites[1]]]) {
      await page.goto(`${PATHS.baseStations}/${serial}`)
      await page.getByText(site, { exact: true }).first().waitFor()
      await assertAccessible(page)
    }
    assert.equal(dialogs, 0)
  }))

test('the page of a station shows what a sync changed', () =>
  withPage({}, async (page) => {
    await open(page, `/${changed}`)
    assert.equal(await page.locator('h1').textContent(), changed)
    const changes = page.locator('.change')
    assert.deepEqual(await changes.locator('h3').allTextContents(), ['Changed', 'Added'])
    const difference = await changes.first().locator('.differences').textContent()
    assert.match(difference, /→/)
    assert.doesNotMatch(difference, /device_status|active_connections|serial_number/, 'names in words')
    await changes.last().locator('summary').click()
    assert.match(await changes.last().textContent(), new RegExp(`Serial number${changed}`))
    await assertAccessible(page)
    await page.goto(`${PATHS.baseStations}/NONE`)
    assert.match(await page.locator('main').textContent(), /There is no station with this serial number/)
  }))

test('the table is accessible in every width and color scheme', () =>
  withPage({}, async (page) => {
    await open(page, '?offset=50&sort=siteName')
    await assertAccessible(page)
  }))

test('the offline stations of a market are three clicks from a file', () =>
  withPage({ acceptDownloads: true }, async (page) => {
    await open(page)
    await page.getByText('By market').click()
    await assertAccessible(page)
    const link = page.locator('.markets').getByRole('link', { name: / offline in / }).first()
    const [, count, market] = /^(\S+) offline in (.*)$/.exec(await link.getAttribute('aria-label'))
    await link.click()
    await waitForParameters(page, { market, online: 'false' })
    await waitForRange(page, `of ${count}`)
    const download = page.waitForEvent('download')
    await page.getByRole('link', { name: 'CSV', exact: true }).click()
    const [header, ...rows] = readFileSync(await (await download).path(), 'utf8').trim().split('\r\n')
    const column = header.split(',').indexOf('online')
    assert.deepEqual([rows.length, new Set(rows.map((row) => row.split(',')[column]))], [Number(count), new Set(['false'])])
  }))

test('exports contain the stations of the table', () =>
  withPage({ acceptDownloads: true }, async (page) => {
    await open(page)
    await page.getByLabel('Search').fill('odd-s')
    await waitForRange(page, '1–1 of 1')
    for (const [name, expected] of [['CSV', /^serial,.*\r\nODD-SCRIPT,[^\n]*\r\n$/], ['GeoJSON', /"id":"ODD-SCRIPT"/], ['KML', /&lt;script&gt;/]]) {
      const download = page.waitForEvent('download')
      await page.getByRole('link', { name, exact: true }).click()
      const file = await download
      assert.equal(file.suggestedFilename(), `stations.${name.toLowerCase()}`)
      assert.match(readFileSync(await file.path(), 'utf8'), expected)
    }
  }))
