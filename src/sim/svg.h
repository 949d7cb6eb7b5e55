#pragma once
#include <string>

#include "sim/simulation.h"
#include "sim/summary.h"

namespace trainyard::sim {

struct PictureSettings {
  std::string title;
  std::string subtitle;
  bool gantt = true;                  ///< False: the curves alone, of what is in use and of what waits.
  std::size_t rectangles_max = 4000;  ///< Beyond it only the stretches that fill the most room are drawn, and the picture says so.
};

/// The schedule as one SVG: who ran where and when, how much was in use, how many jobs waited. Readable on light and on dark ground.
std::string schedule_svg(const Trace& trace, const Machine& machine, const SimulationResult& result, const PictureSettings& settings);

}  // namespace trainyard::sim
