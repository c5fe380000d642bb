// A table without stations.

import assert from 'node:assert/strict'
import test from 'node:test'
import { assertAccessible, environment, signIn, withPage } from './harness.mjs'

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
