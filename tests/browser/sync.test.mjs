// Sync Now, live updates, cancellation, and the confirmation of deletions.

import assert from 'node:assert/strict'
import test from 'node:test'
import { assertAccessible, environment, PATHS, signIn, simulator, withPage } from './harness.mjs'

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
      while ((await page.locator('#last-state').textContent()) !== 'Cancelled') {
        await page.waitForTimeout(200)
        await page.reload()
      }
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
    await page.locator('#last-summary', { hasText: `, ${planned} deleted` }).waitFor()
    await page.locator('#current-state').waitFor({ state: 'detached' })
    await page.reload()
    assert.equal(await total(), before - planned)
    // The button Back of the browser shows the question again, and does not start another sync.
    await page.goBack()
    await page.getByRole('heading', { name: 'Delete stale stations?' }).waitFor()
    await page.goto(PATHS.baseStations)
    assert.match(await page.locator('#last-summary').textContent(), new RegExp(`, ${planned} deleted`))
  }))

test('a chosen option survives live updates', () =>
  withPage({}, async (page) => {
    await open(page)
    await page.getByLabel('Dry run').check()
    await page.evaluate(() => {
      const text = `${document.querySelector('#overview').innerHTML}<p id="morphed">New</p>`
      return window.htmx.swap({ target: '#overview', text, swap: 'innerMorph', sourceElement: document.body })
    })
    await page.locator('#morphed').waitFor()
    assert.ok(await page.getByLabel('Dry run').isChecked())
  }))

test('a user who may not start a sync is told which right is missing', () =>
  withPage({}, async (page) => {
    await open(page, environment.viewer)
    assert.ok(await page.getByRole('button', { name: 'Sync now' }).isDisabled())
    assert.match(await page.locator('#sync-form').textContent(), /You need the permission to create taranasyncs\.tarana\.dev in namespace/)
  }))

test('lost live updates are announced with the time', () =>
  withPage({ expectsLostUpdates: true }, async (page) => {
    await open(page)
    await page.locator('#live-lost').waitFor({ state: 'hidden' })
    await page.context().setOffline(true)
    await page.locator('#live-lost').waitFor({ state: 'visible' })
    assert.match(await page.locator('#live-lost').textContent(), /Live updates are lost since .*\d/)
    await page.context().setOffline(false)
    await page.locator('#live-lost').waitFor({ state: 'hidden' })
  }))
