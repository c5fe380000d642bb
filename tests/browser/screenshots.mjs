// Makes screenshots of the pages in both widths and color schemes: all of them in the folder screenshots/, and small ones of the main pages
// beside the README of the pages.

import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { closeBrowser, environment, PATHS, signIn, withPage } from './harness.mjs'

const FOLDER = fileURLToPath(new URL('screenshots/', import.meta.url))
const DOCUMENTATION = fileURLToPath(new URL('../../src/admin/ui/screenshots/', import.meta.url))

async function open(page, path) {
  await signIn(page, environment.viewer)
  await page.goto(path)
}

const PAGES = {
  'sign-in': (page) => page.goto(PATHS.signIn),
  rejected: (page) => signIn(page, 'wrong'),
  'base-stations': (page) => signIn(page, environment.viewer),
  stations: async (page) => {
    await signIn(page, environment.viewer)
    await page.goto(`${PATHS.baseStations}?sort=siteName&order=descending#stations-title`)
  },
  'no-station': async (page) => {
    await signIn(page, environment.viewer)
    await page.goto(`${PATHS.baseStations}?search=nothing&online=false#stations-title`)
  },
  station: async (page) => {
    await signIn(page, environment.viewer)
    await page.goto(`${PATHS.baseStations}/${process.env.TARANA_CHANGED}`)
  },
  syncs: (page) => open(page, PATHS.runs),
  schedules: (page) => open(page, PATHS.schedules),
  connections: (page) => open(page, PATHS.connections),
  me: (page) => open(page, PATHS.me),
  sync: async (page) => {
    await signIn(page, environment.viewer)
    await page.goto(PATHS.runs)
    await page.locator('.run', { hasText: 'Failed' }).first().getByRole('link').click()
    await page.locator('#waterfall-title').scrollIntoViewIfNeeded()
  },
  map: async (page) => {
    await signIn(page, environment.viewer)
    await page.goto(PATHS.map)
    await page.locator('.map.is-live').waitFor()
  },
  'map-drawing': async (page) => {
    await page.route(/assets\/map\..*js$/, (route) => route.fulfill({ contentType: 'text/javascript', body: '' }))
    await signIn(page, environment.viewer)
    await page.goto(PATHS.map)
  },
  'map-close': async (page) => {
    await signIn(page, environment.viewer)
    await page.goto(`${PATHS.map}?zoom=9&lat=-26.1&lng=28.05`)
    await page.locator('.map.is-live').waitFor()
  },
  'permission-missing': (page) => signIn(page, environment.nobody),
}

// Small pictures beside the README of the pages.
const DOCUMENTED = {
  overview: PAGES['base-stations'],
  sync: PAGES.sync,
  plan: async (page) => {
    await signIn(page, environment.editor)
    await page.goto(PATHS.sync)
    if (await page.locator('.serials').count()) return
    await page.getByRole('button', { name: 'Dry run first' }).click()
    await page.locator('#last-state', { hasText: 'Completed' }).waitFor()
    await page.goto(PATHS.sync)
  },
  schedules: PAGES.schedules,
  map: PAGES.map,
}

const VIEWPORTS = [
  { width: 360, height: 740, deviceScaleFactor: 1 },
  { width: 1920, height: 1080, deviceScaleFactor: 0.5 },
]

async function picture(pages, { folder, type, scales }) {
  mkdirSync(folder, { recursive: true })
  for (const colorScheme of ['light', 'dark']) {
    for (const { width, height, deviceScaleFactor } of VIEWPORTS) {
      for (const [name, open] of Object.entries(pages)) {
        const options = { colorScheme, viewport: { width, height }, deviceScaleFactor: scales ? deviceScaleFactor : 1 }
        await withPage(options, async (page) => {
          await open(page)
          await page.waitForLoadState()
          const quality = type === 'jpeg' ? { quality: 60 } : {}
          await page.screenshot({ path: `${folder}${name}-${width}-${colorScheme}.${type}`, type, ...quality })
        })
      }
    }
  }
}

await picture(PAGES, { folder: FOLDER, type: 'png', scales: false })
await picture(DOCUMENTED, { folder: DOCUMENTATION, type: 'jpeg', scales: true })
await closeBrowser()
