package dev.sequent.ssm.scan;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * An F32 tensor of states (B, H, P, N) in native memory, with the strides of its axes in elements. The kernels' own tensors have P
 * innermost, as working memory has it.
 *
 * @param segment starts at the first element
 */
record DualStates(MemorySegment segment, long batchStride, long headStride, long columnStride, long stateStride) {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;

    private long start(int batch, int head) {
        return batch * batchStride + head * headStride;
    }

    /** Copies one state to working memory, padded with zeros. */
    void load(DualShape s, DualLayout layout, int batch, int head, float[] target) {
        if (layout.states() > s.states() || layout.panel() * layout.panels() > s.width()) {
            Arrays.fill(target, 0);
        }
        for (int p = 0; p < layout.panels(); p++) {
            int columns = layout.columns(p);
            for (int n = 0; n < s.states(); n++) {
                long from = start(batch, head) + (long) p * layout.panel() * columnStride + n * stateStride;
                int to = p * layout.statePanel() + n * layout.panel();
                if (columnStride == 1) {
                    MemorySegment.copy(segment, F32, from * Float.BYTES, target, to, columns);
                } else {
                    for (int j = 0; j < columns; j++) {
                        target[to + j] = segment.getAtIndex(F32, from + j * columnStride);
                    }
                }
            }
        }
    }

    /** Copies one state from working memory. */
    void store(DualShape s, DualLayout layout, int batch, int head, float[] source) {
        for (int p = 0; p < layout.panels(); p++) {
            int columns = layout.columns(p);
            for (int n = 0; n < s.states(); n++) {
                long to = start(batch, head) + (long) p * layout.panel() * columnStride + n * stateStride;
                int from = p * layout.statePanel() + n * layout.panel();
                if (columnStride == 1) {
                    MemorySegment.copy(source, from, segment, F32, to * Float.BYTES, columns);
                } else {
                    for (int j = 0; j < columns; j++) {
                        segment.setAtIndex(F32, to + j * columnStride, source[from + j]);
                    }
                }
            }
        }
    }

    /** The (P, N) numbers of one state, where N is innermost. */
    MemorySegment rows(DualShape s, int batch, int head) {
        return segment.asSlice(start(batch, head) * Float.BYTES, (long) s.width() * s.states() * Float.BYTES);
    }
}
