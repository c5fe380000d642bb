// The history of the syncs, and the page of one.

import assert from 'node:assert/strict'
import test from 'node:test'
import { assertAccessible, environment, PATHS, signIn, withPage } from './harness.mjs'

async function open(page, query = '') {
  await signIn(page, environment.editor)
  await page.getByRole('heading', { name: 'Base stations', exact: true }).waitFor()
  await page.goto(`${PATHS.runs}${query}`)
  await page.getByRole('heading', { name: 'Syncs', exact: true }).waitFor()
}

test('why a sync failed is two clicks away from the first page', () =>
  withPage({}, async (page) => {
    await signIn(page, environment.viewer)
    await page.getByRole('link', { name: 'Syncs', exact: true }).click()
    await page.locator('.run', { hasText: 'Failed' }).getByRole('link').click()
    await page.locator('#run-state', { hasText: 'Failed' }).waitFor()
    assert.match(await page.locator('#run-summary').textContent(), /activeDeadlineSeconds/)
    assert.ok(await page.getByRole('button', { name: 'Run again' }).isDisabled())
    assert.match(await page.locator('#run').textContent(), /You need the permission to create taranasyncs/)
    await assertAccessible(page)
  }))

test('filters of the history survive the page of a sync', () =>
  withPage({}, async (page) => {
    await open(page)
    await assertAccessible(page)
    await page.getByLabel('State').selectOption('Failed')
    await page.getByLabel('Without scheduled syncs').check()
    await page.getByRole('button', { name: 'Apply' }).click()
    await page.waitForURL('**?phase=Failed&notTrigger=Schedule')
    const rows = page.locator('.run')
    assert.equal(await rows.count(), 1)
    await rows.getByRole('link').click()
    await page.getByRole('link', { name: 'Back to the list' }).click()
    await page.waitForURL('**?phase=Failed&notTrigger=Schedule')
    assert.equal(await page.getByLabel('State').inputValue(), 'Failed')
    await page.getByLabel('Ended until (UTC)').fill('2020-01-01')
    await page.getByRole('button', { name: 'Apply' }).click()
    await page.getByText('No sync matches these filters').waitFor()
    await page.getByRole('link', { name: 'Clear filters' }).click()
    await rows.first().waitFor()
  }))

test('a sync is repeated, and announced in another tab without moving its list', () =>
  withPage({}, async (page) => {
    await open(page)
    const count = await page.locator('.run').count()
    const other = await page.context().newPage()
    await other.goto(PATHS.runs)
    await other.locator('.run', { hasText: 'dry run' }).first().getByRole('link').click()
    const before = other.url()
    await other.getByRole('button', { name: 'Run again' }).click()
    await other.locator('#run-state', { hasText: 'Completed' }).waitFor()
    await other.getByRole('button', { name: 'Run again' }).waitFor()
    assert.notEqual(other.url(), before)
    await page.locator('#newer', { hasText: '1 new sync' }).waitFor()
    assert.equal(await page.locator('.run').count(), count)
    await page.getByRole('link', { name: 'Show the newest syncs' }).click()
    await page.waitForFunction((count) => document.querySelectorAll('.run').length === count, count + 1)
  }))

test('the changes of a sync are shown as before and after, and lead to the station', () =>
  withPage({ javaScriptEnabled: false }, async (page) => {
    await signIn(page, environment.viewer)
    await page.goto(`${PATHS.baseStations}/${process.env.TARANA_CHANGED}`)
    await page.getByRole('link', { name: /^sync / }).first().click()
    const change = page.locator('.change', { hasText: process.env.TARANA_CHANGED })
    await change.locator('ins').first().waitFor()
    await change.getByRole('link', { name: process.env.TARANA_CHANGED }).click()
    await page.getByRole('heading', { name: process.env.TARANA_CHANGED }).waitFor()
  }))

test('where the time of a sync went is shown as text and bars', () =>
  withPage({ javaScriptEnabled: false, viewport: { width: 360, height: 740 } }, async (page) => {
    await signIn(page, environment.viewer)
    await page.goto(`${PATHS.runs}?phase=Failed`)
    await page.locator('.run', { hasText: 'Failed' }).first().getByRole('link').click()
    const waterfall = page.getByRole('table').filter({ hasText: 'From the request to the end' })
    const attempt = waterfall.getByRole('row').filter({ hasText: 'Attempt 1 failed' })
    assert.match(await attempt.getByRole('cell').last().textContent(), /\d (ms|s)$/)
    // The bar is in the row below, over the whole width.
    const bar = waterfall.locator('tr', { hasText: 'Attempt 1 failed' }).locator('+ tr rect.bar-failed')
    assert.ok((await bar.boundingBox()).width > 3)
    const { width } = await waterfall.boundingBox()
    assert.ok(width <= 360, `${width}`)
  }))
