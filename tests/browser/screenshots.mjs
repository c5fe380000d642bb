// Makes screenshots of the pages in both widths and color schemes, in the folder screenshots/.

import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { environment, PATHS, signIn, withPage } from './harness.mjs'

const FOLDER = fileURLToPath(new URL('screenshots/', import.meta.url))

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
  'permission-missing': (page) => signIn(page, environment.nobody),
}

mkdirSync(FOLDER, { recursive: true })
for (const colorScheme of ['light', 'dark']) {
  for (const [name, open] of Object.entries(PAGES)) {
    await withPage({ colorScheme }, async (page) => {
      await open(page)
      for (const width of [360, 1920]) {
        await page.setViewportSize({ width, height: width === 360 ? 740 : 1080 })
        await page.screenshot({ path: `${FOLDER}${name}-${width}-${colorScheme}.png` })
      }
    })
  }
}
