/** @module By what weight a node is picked. */
import type { PickerNode } from '@fairlead/core';

/** What load reports have made of the weight of a node, or that of its endpoint. */
export function weightOf(node: PickerNode): number {
  return node.weight ?? node.endpoint.weight;
}
