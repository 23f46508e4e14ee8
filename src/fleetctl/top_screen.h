#pragma once

// What `top` shows: the cluster as the API's streams tell it, and a picture of that of any size.
// Pure.

#include <cstddef>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "client/entities.h"
#include "client/streams.h"

namespace fleet::fleetctl {

struct ClusterPicture {
  std::map<std::string, client::Machine> machines;
  std::map<std::string, client::Unit> units;
  std::deque<client::Event> changes;  // the newest last
  std::string trouble;                // why it may be old; empty otherwise

  void Apply(const client::WatchEvent& event);
  // Keeps the last ones.
  void Add(client::Event change);
};

struct TopView {
  size_t rows = 24;
  size_t columns = 80;
  size_t first_unit = 0;  // that is shown, of those that there are
  bool troubled_only = false;
  bool colour = false;
  std::string clock;  // "03:04:05"
};

// `view.rows` lines at most, none wider than `view.columns`, without line ends.
std::vector<std::string> DrawTop(const ClusterPicture& picture, const TopView& view);

// The last value of TopView::first_unit at which something is shown.
size_t LastFirstUnit(const ClusterPicture& picture, const TopView& view);

}  // namespace fleet::fleetctl
