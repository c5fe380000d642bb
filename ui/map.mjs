// The world as one topology: land, lakes and borders, simplified and quantized.

import { merge, mesh, quantize } from 'topojson-client'
import { topology } from 'topojson-server'
import { filter, filterWeight, presimplify, simplify } from 'topojson-simplify'

// Detail below this area, in square degrees, is left out: about 3 km by 3 km.
const MIN_AREA = 0.001
// Steps of the grid of coordinates, in each direction: the resolution of the source, 0.036 degrees.
const GRID = 1e4

export function worldMap(text) {
  const world = JSON.parse(text)
  const { countries, lakes } = world.objects
  const detailed = presimplify(topology({
    land: merge(world, countries.geometries),
    lakes: merge(world, lakes.geometries.filter((lake) => lake.arcs)),
    borders: mesh(world, countries, (a, b) => a !== b),
  }))
  const simplified = simplify(detailed, MIN_AREA)
  return quantize(filter(simplified, filterWeight(simplified, MIN_AREA)), GRID)
}
