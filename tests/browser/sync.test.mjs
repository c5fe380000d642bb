// Sync Now, live updates, cancellation, and the confirmation of deletions.

import assert from 'node:assert/strict'
import test from 'node:test'
import { assertAccessible, environment, PATHS, reloadUntil, signIn, simulator, withPage } from './harness.mjs'

const state = (page, id, text) => page.locator(`#${id}`, { hasText: text }).waitFor()

/** Fails if the document is loaded again before the returned function is called. */
async function withoutReload(page) {
  await page.evaluate(() => { window.isSameDocument = true })
  return async () => assert.ok(await page.evaluate(() => window.isSameDocument), 'the page was reloaded')
}

async function open(page, token = environment.editor) {
  await signIn(page, token)
  await page.getByRole('heading', { name: 'Sync', exact: true }).waitFor()
}

test('a dry run is shown live from its start to its end', () =>
  withPage({}, async (page) => {
    await simulator('script', environment.hang)
    await open(page)
    await page.getByLabel('Dry run').check()
    await page.getByRole('button', { name: 'Sync now' }).click()
    await state(page, 'current-state', 'Running')
    const assertSameDocument = await withoutReload(page)
    assert.match(await page.locator('#overview').textContent(), /\(dry run\)/)
    await assertAccessible(page)
    await simulator('clear')
    await simulator('release')
    await page.locator('#current-state').waitFor({ state: 'detached' })
    await state(page, 'last-state', 'Completed')
    assert.match(await page.locator('#last-summary').textContent(), /^\d+ read, 0 new, 0 changed/)
    await assertSameDocument()
    await assertAccessible(page)
  }))

for (const javaScriptEnabled of [true, false]) {
  test(`a sync is cancelled, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, () =>
    withPage({ javaScriptEnabled }, async (page) => {
      await simulator('script', environment.hang)
      await open(page)
      await page.getByRole('button', { name: 'Sync now' }).click()
      await page.getByRole('button', { name: 'Cancel', exact: true }).click()
      if (javaScriptEnabled) await state(page, 'last-state', 'Cancelled')
      // Without JavaScript, a person reloads.
      await reloadUntil(page, async () => (await page.locator('#last-state').textContent()) === 'Cancelled')
      await simulator('clear')
      await simulator('release')
      await page.reload()
      await page.getByRole('button', { name: 'Sync now' }).waitFor()
    }))
}

test('deletions are confirmed after what the last dry run found', () =>
  withPage({}, async (page) => {
    await open(page)
    const total = async () => Number((await page.locator('#total').textContent()).replace(/\D/g, ''))
    const before = await total()
    await page.getByLabel('Delete stale stations').check()
    await page.getByRole('button', { name: 'Sync now' }).click()
    await page.getByRole('heading', { name: 'Delete stale stations?' }).waitFor()
    assert.match(await page.locator('#planned').textContent(), /There is no dry run with this option yet/)
    await assertAccessible(page)
    await simulator('vanish', { count: 1 })
    await page.getByRole('button', { name: 'Dry run first' }).click()
    await page.waitForURL(`**${PATHS.baseStations}`)
    await state(page, 'last-state', 'Completed')
    await page.getByLabel('Delete stale stations').check()
    await page.getByRole('button', { name: 'Sync now' }).click()
    await page.locator('.serials').waitFor()
    const [, planned] = /found (\d+) stale stations/.exec(await page.locator('#planned').textContent())
    await page.getByRole('button', { name: 'Sync and delete' }).click()
    // The summary of the dry run is the same.
    await reloadUntil(page, async () => (await total()) === before - planned)
    await page.locator('#last-summary', { hasText: `, ${planned} deleted` }).waitFor()
    // The button Back of the browser shows the question again, and does not start another sync.
    await page.goBack()
    await page.getByRole('heading', { name: 'Delete stale stations?' }).waitFor()
    await page.goto(PATHS.baseStations)
    assert.match(await page.locator('#last-summary').textContent(), new RegExp(`, ${planned} deleted`))
  }))

/** Reloads until a sync of the list matches. Syncs of the same second have no order. */
async function listedSync(page, pattern) {
  await page.goto(PATHS.runs)
  await reloadUntil(page, async () => (await page.locator('.run').allTextContents()).some((text) => pattern.test(text)))
}

test('a schedule runs now with options, and deletions are confirmed', () =>
  withPage({}, async (page) => {
    await open(page)
    await page.goto(PATHS.schedules)
    await page.getByLabel('Dry run').check()
    await page.getByRole('button', { name: 'Run now' }).click()
    await listedSync(page, /Completed.*by the schedule nightly \(dry run\)/s)
    await page.goto(PATHS.schedules)
    await page.getByLabel('Delete stale stations').check()
    await page.getByRole('button', { name: 'Run now' }).click()
    await page.getByRole('heading', { name: 'Delete stale stations?' }).waitFor()
    await page.getByRole('button', { name: 'Dry run first' }).click()
    await listedSync(page, /Completed.*by the schedule nightly \(dry run, including deletions\)/s)
    await page.goto(PATHS.schedules)
    await page.getByLabel('Delete stale stations').check()
    await page.getByRole('button', { name: 'Run now' }).click()
    await page.locator('#planned', { hasText: 'The last dry run' }).waitFor()
    await page.getByRole('link', { name: 'Back' }).click()
    await page.waitForURL(`**${PATHS.schedules}`)
  }))

test('a chosen option survives live updates', () =>
  withPage({}, async (page) => {
    await open(page)
    await page.getByLabel('Dry run').check()
    // At once: a real update may follow.
    const [isMorphed, isChecked] = await page.evaluate(async () => {
      const text = `${document.querySelector('#overview').innerHTML}<p id="morphed">New</p>`
      await window.htmx.swap({ target: '#overview', text, swap: 'innerMorph', sourceElement: document.body })
      return [document.querySelector('#morphed') !== null, document.querySelector('[name="dry_run"]').checked]
    })
    assert.deepEqual([isMorphed, isChecked], [true, true])
  }))

test('a user who may not start a sync is told which right is missing', () =>
  withPage({}, async (page) => {
    await open(page, environment.viewer)
    assert.ok(await page.getByRole('button', { name: 'Sync now' }).isDisabled())
    assert.match(await page.locator('#sync-form').textContent(), /You need the permission to create taranasyncs\.tarana\.dev in namespace/)
  }))
