// Deletions that the guard withheld are approved.

import assert from 'node:assert/strict'
import test from 'node:test'
import { assertAccessible, environment, PATHS, signIn, simulator, withPage } from './harness.mjs'

test('withheld deletions are approved by a user who may', () =>
  withPage({}, async (page) => {
    await simulator('vanish', { count: 60 })
    await signIn(page, environment.editor)
    await page.getByLabel('Delete stale stations').check()
    await page.getByRole('button', { name: 'Sync now' }).click()
    await page.getByRole('button', { name: 'Sync and delete' }).click()
    await page.locator('#last-state', { hasText: 'Withheld' }).waitFor()
    const attention = page.locator('.attention', { hasText: 'no longer in the vendor' })
    await attention.getByRole('link', { name: 'Open this sync' }).click()
    assert.ok(await page.getByRole('button', { name: 'Approve deletions' }).isDisabled())
    assert.match(await page.locator('#run-summary').textContent(), /approvedDeletes/)
    assert.match(await page.locator('#run').textContent(), /You need the permission to approve taranasyncs/)
    await assertAccessible(page)
    const address = page.url()

    await page.getByRole('button', { name: 'Sign out' }).click()
    await signIn(page, environment.approver)
    await page.goto(address)
    await page.getByText('Approve deletions').click()
    await assertAccessible(page)
    const button = page.getByRole('button', { name: /^Delete up to/ })
    const [deletions] = /\d+/.exec(await button.textContent())
    await button.click()
    await page.locator('#run-state', { hasText: 'Completed' }).waitFor()
    await page.locator('#run-summary', { hasText: `, ${deletions} deleted` }).waitFor()
    await page.goto(PATHS.baseStations)
    await page.getByText('Nothing needs attention').waitFor()
  }))

test('stations that a sync without deletions keeps need attention', () =>
  withPage({}, async (page) => {
    await simulator('vanish', { count: 3 })
    await signIn(page, environment.editor)
    await page.getByRole('button', { name: 'Sync now' }).click()
    const attention = page.locator('.attention', { hasText: "missing from the vendor's last listing" })
    await attention.waitFor()
    await assertAccessible(page)
    await attention.getByRole('link', { name: 'Open this sync' }).click()
    await page.locator('#run-summary', { hasText: 'kept although no longer listed' }).waitFor()
  }))
