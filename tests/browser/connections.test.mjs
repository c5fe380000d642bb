// Switching between connections, and what happened to one.

import assert from 'node:assert/strict'
import test from 'node:test'
import { assertAccessible, environment, PATHS, signIn, withPage } from './harness.mjs'

test('the navigation stays with the selected connection', () =>
  withPage({}, async (page) => {
    await signIn(page, environment.viewer)
    const navigation = page.getByRole('navigation', { name: 'Pages' })
    await navigation.getByRole('link', { name: 'Connections' }).click()
    await page.locator('.run[aria-current]', { hasText: 'default' }).waitFor()
    const east = page.locator('.run', { hasText: 'east (namespace' })
    await east.getByText('Suspended', { exact: true }).waitFor()
    await assertAccessible(page)
    await east.getByRole('link').click()
    await page.locator('.page-title', { hasText: 'Connection east (namespace' }).waitFor()
    await page.locator('.attention', { hasText: 'The connection is suspended' }).waitFor()
    for (const [link, heading] of [['Syncs', 'Syncs'], ['Schedules', 'Schedules'], ['Base stations', 'Base stations']]) {
      await navigation.getByRole('link', { name: link, exact: true }).click()
      await page.getByRole('heading', { name: heading, exact: true }).waitFor()
      await page.locator('.page-title', { hasText: 'Connection east (namespace' }).waitFor()
      assert.equal(new URL(page.url()).searchParams.get('connection'), 'east')
    }
    await page.locator('.page-title').getByRole('link').click()
    await page.getByRole('heading', { name: /^What happened to east \(namespace/ }).waitFor()
    await page.locator('.timeline', { hasText: 'Created' }).waitFor()
  }))

test('what happened to a connection leads to its syncs', () =>
  withPage({ javaScriptEnabled: false }, async (page) => {
    await signIn(page, environment.viewer)
    await page.goto(PATHS.connections)
    const failed = page.locator('.timeline .run', { hasText: 'Sync failed' })
    await failed.getByRole('link', { name: 'sync late' }).click()
    assert.equal(await page.locator('#run-state').textContent(), 'Failed')
  }))

test('a user who may not list connections is told which right is missing', () =>
  withPage({}, async (page) => {
    await signIn(page, environment.nobody)
    const response = await page.goto(PATHS.connections)
    assert.equal(response.status(), 403)
    assert.match(await page.getByRole('main').textContent(), /may not get taranaconnections\.tarana\.dev/)
  }))
