// The world as an SVG file: land, lakes and borders in Web Mercator, as paths on a grid of GRID by GRID points.

import { feature, merge, mesh } from 'topojson-client'
import { topology } from 'topojson-server'
import { filter, filterWeight, presimplify, simplify } from 'topojson-simplify'

// Detail below this area, in square degrees, is left out: about 3 km by 3 km.
const MIN_AREA = 0.001
// Points of the grid in each direction: 2.4 km at the equator. src/admin/map_view.rs and src/map.js scale it.
const GRID = 16384
// Web Mercator ends here, so that it is square.
const MAX_LATITUDE = 85.051129

function project([longitude, latitude]) {
  const radians = (Math.min(Math.max(latitude, -MAX_LATITUDE), MAX_LATITUDE) * Math.PI) / 180
  const y = 0.5 - Math.log(Math.tan(Math.PI / 4 + radians / 2)) / (2 * Math.PI)
  return [longitude / 360 + 0.5, y].map((part) => Math.round(part * GRID))
}

/** The points of a line, beyond the edge of the grid where it crosses the antimeridian: the world repeats there. */
function projectLine(line) {
  let turns = 0
  return line.map(project).map(([x, y], index, points) => {
    const step = index ? x - points[index - 1][0] : 0
    if (Math.abs(step) > GRID / 2) turns -= Math.sign(step)
    return [x + turns * GRID, y]
  })
}

/** A line as a path with relative steps. Points that are one on the grid are written once. */
function path(line) {
  const points = projectLine(line)
  // The ring of Antarctica goes around the pole: it is closed along the edge of the map.
  if (Math.abs(points.at(-1)[0] - points[0][0]) > GRID / 2) points.push([points.at(-1)[0], GRID], [points[0][0], GRID])
  const steps = points.slice(1).map(([x, y], index) => [x - points[index][0], y - points[index][1]])
  const moved = steps.filter(([x, y]) => x || y)
  return moved.length ? `M${points[0].join(' ')}l${moved.map((step) => step.join(' ')).join(' ')}` : ''
}

/** The rings of areas. One that is smaller than the grid is left out. */
function rings(geometry) {
  const closed = geometry.coordinates.flat().map(path).filter((text) => text.split(' ').length > 6)
  return closed.map((text) => `${text}z`).join('')
}

export function worldMap(text) {
  const world = JSON.parse(text)
  const { countries, lakes } = world.objects
  const detailed = presimplify(topology({
    land: merge(world, countries.geometries),
    lakes: merge(world, lakes.geometries.filter((lake) => lake.arcs)),
    borders: mesh(world, countries, (a, b) => a !== b),
  }))
  const simplified = simplify(detailed, MIN_AREA)
  // It has its own arcs.
  const filtered = filter(simplified, filterWeight(simplified, MIN_AREA))
  const { land, lakes: water, borders } = filtered.objects
  const geometry = (object) => feature(filtered, object).geometry
  const parts = {
    land: rings(geometry(land)),
    lakes: rings(geometry(water)),
    borders: geometry(borders).coordinates.map(path).join(''),
  }
  const attributes = { borders: ' fill="none" vector-effect="non-scaling-stroke"' }
  const paths = Object.entries(parts).map(([id, d]) => `<path id="${id}"${attributes[id] ?? ''} d="${d}"/>`)
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${GRID} ${GRID}">${paths.join('\n')}</svg>\n`
}
