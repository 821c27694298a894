// SPDX-License-Identifier: Apache-2.0
// Which keys a query sees. A mask gives per query a Row, per key a Column, and keep(row, column); a fragment is masked by
// apply_mask. Tile sources say which KV tiles a query tile visits, in visit order, and which of those need the mask.
#pragma once

#include "validation/cuda/arguments.h"
#include "validation/cuda/swizzle.cuh"

namespace attnsim::cuda {

// Dense, causal and windows: the keys of a query are an interval whose ends grow with the query.
struct IntervalMask {
  static constexpr bool kSlow = false;
  int left, right, shift, kv_len;  // shift = kv_len - q_len

  ATTNSIM_HD explicit IntervalMask(const AttentionArgs& a) : left(a.left), right(a.right), shift(a.kv_len - a.q_len), kv_len(a.kv_len) {}
  struct Row {
    int begin, end;
  };
  ATTNSIM_HD Row row(int q) const {
    return {left < 0 ? 0 : greatest(0, q + shift - left), right < 0 ? kv_len : least(kv_len, q + shift + right + 1)};
  }
  ATTNSIM_HD int column(int k) const { return k; }
  ATTNSIM_HD static bool keep(Row r, int k) { return k >= r.begin && k < r.end; }
};

struct GnaBox {
  int at[kAxes];
};

// Tokens of class b, in tile order, to coordinates inside the class.
struct GnaMask {
  static constexpr bool kSlow = true;
  int length[kAxes], window[kAxes], stride[kAxes], q_shift[kAxes], kv_shift[kAxes], q_tiles[kAxes], kv_tiles[kAxes];

  static constexpr ATTNSIM_HD int log2_of(int power) {
    int l = 0;
    while ((1 << l) < power) ++l;
    return l;
  }
  // Every class has the tiles of the longest one (residue 0), so that the classes are entries of one batch.
  ATTNSIM_HD GnaMask(const GnaArgs& g, int gna_class) {
    for (int a = kAxes - 1; a >= 0; --a) {
      const int residue = gna_class % g.dilation[a];
      gna_class /= g.dilation[a];
      length[a] = ceil_div(g.length[a] - residue, g.dilation[a]);
      window[a] = g.window[a];
      stride[a] = g.stride[a];
      q_shift[a] = log2_of(g.q_tile[a]);
      kv_shift[a] = log2_of(g.kv_tile[a]);
      const int longest = ceil_div(g.length[a], g.dilation[a]);
      q_tiles[a] = ceil_div(longest, g.q_tile[a]);
      kv_tiles[a] = ceil_div(longest, g.kv_tile[a]);
    }
  }

  // Coordinates of a permuted token; beyond `length` where it is padding.
  ATTNSIM_HD static GnaBox place(int token, const int (&shift)[kAxes], const int (&tiles)[kAxes]) {
    GnaBox box;
    int in_tile = token & ((1 << (shift[0] + shift[1] + shift[2])) - 1);
    int tile = token >> (shift[0] + shift[1] + shift[2]);
    for (int a = kAxes - 1; a >= 0; --a) {
      box.at[a] = (tile % tiles[a] << shift[a]) + (in_tile & ((1 << shift[a]) - 1));
      tile /= tiles[a];
      in_tile >>= shift[a];
    }
    return box;
  }

  // First and last key of a query on one axis: the window of its stride group's leader, shifted inside the axis.
  ATTNSIM_HD void axis_window(int a, int q, int& first, int& last) const {
    const int before = window[a] / 2;
    const int after = window[a] / 2 + window[a] % 2 - 1;
    const int leader = least(q / stride[a] * stride[a] + stride[a] / 2, length[a] - 1);
    const int centre = least(greatest(leader, before), length[a] - 1 - after);
    first = centre - before;
    last = centre + after;
  }

  struct Row {
    int first[kAxes], last[kAxes];
  };
  ATTNSIM_HD Row row(int q) const {
    const GnaBox box = place(q, q_shift, q_tiles);
    Row r;
    for (int a = 0; a < kAxes; ++a) axis_window(a, box.at[a], r.first[a], r.last[a]);
    return r;
  }
  ATTNSIM_HD GnaBox column(int k) const { return place(k, kv_shift, kv_tiles); }
  ATTNSIM_HD static bool keep(const Row& r, const GnaBox& k) {
    bool kept = true;
    for (int a = 0; a < kAxes; ++a) kept = kept && k.at[a] >= r.first[a] && k.at[a] <= r.last[a];
    return kept;
  }
};

// From the last visible tile down to the first.
struct IntervalTiles {
  int last, total, first_full, end_full;  // tiles [first_full, end_full) need no mask

  ATTNSIM_HD IntervalTiles(const IntervalMask& mask, int q_first, int q_last, int tile_kv) {
    const IntervalMask::Row head = mask.row(q_first);
    const IntervalMask::Row tail = mask.row(q_last);
    const int first = head.begin / tile_kv;
    last = ceil_div(greatest(tail.end, 0), tile_kv) - 1;
    total = greatest(last - first + 1, 0);
    first_full = ceil_div(tail.begin, tile_kv);
    end_full = greatest(head.end, 0) / tile_kv;
  }
  ATTNSIM_HD int count() const { return total; }
  ATTNSIM_HD int tile(int i) const { return last - i; }
  ATTNSIM_HD bool masked(int i) const { return tile(i) < first_full || tile(i) >= end_full; }
};

// A piece [begin, begin + pieces) of the visit order of another source.
template <class Tiles>
struct TilesPiece {
  Tiles whole;
  int begin, length;
  ATTNSIM_HD int count() const { return length; }
  ATTNSIM_HD int tile(int i) const { return whole.tile(begin + i); }
  ATTNSIM_HD bool masked(int i) const { return whole.masked(begin + i); }
};

struct ListTiles {
  const int* entries;
  int total;
  ATTNSIM_HD ListTiles(const AttentionArgs& a, int batch, int q_tile, int q_tiles) {
    const int list = batch % a.list_classes * q_tiles + q_tile;
    entries = a.list_tiles + a.list_offsets[list];
    total = a.list_offsets[list + 1] - a.list_offsets[list];
  }
  ATTNSIM_HD int count() const { return total; }
  ATTNSIM_HD int tile(int i) const { return entries[i] / 2; }
  ATTNSIM_HD bool masked(int i) const { return entries[i] % 2 != 0; }
};

}  // namespace attnsim::cuda
