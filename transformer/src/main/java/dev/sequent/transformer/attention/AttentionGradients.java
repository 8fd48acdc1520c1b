package dev.sequent.transformer.attention;

import java.lang.foreign.MemorySegment;

/**
 * Further operands of a backward call.
 *
 * @param dout gradient of the result (B, T, H, P)
 * @param dq receives the gradient of the queries (B, T, H, P)
 * @param dk receives the gradient of the keys (B, S, G, P)
 * @param dv receives the gradient of the values (B, S, G, P)
 * @param workspace scratch of {@link RawAttention#workspaceFloats} floats, whatever it holds
 */
record AttentionGradients(HeadsView dout, HeadsView dq, HeadsView dk, HeadsView dv, MemorySegment workspace) {}
