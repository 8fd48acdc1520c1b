package dev.sequent.ssm.scan;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Moves operands between row-major tensors and the packed tiles of a {@link ScanScratch}. */
final class ScanLayout {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    private static final float LOG2E = 1.44269504088896340736f;

    private ScanLayout() {}

    /**
     * Rows of an operand or of scratch memory.
     *
     * @param segment the rows
     * @param stride distance of rows in elements
     */
    record Window(MemorySegment segment, long stride) {}

    /**
     * Some tokens of neighbouring channels of a sequence: of one block, or of a panel of several.
     *
     * @param shape sizes of the scan
     * @param batch the sequence
     * @param token the first token
     * @param rows number of tokens
     * @param channel the first channel
     * @param width number of channels, those beyond the last one included
     */
    record Tile(ScanShape shape, int batch, int token, int rows, int channel, int width) {
        /** Channels that there are. */
        int columns() {
            return Math.min(width, shape.channels() - channel);
        }

        boolean isFull() {
            return columns() == width;
        }

        /** The tile's rows where they lie. */
        Window window(ScanRows operand) {
            return new Window(operand.slice(batch, token, rows, channel, columns()), operand.tokenStride());
        }

        /** Copies the tile's rows of an operand, unless it is null, and pads them with zeros. */
        void load(ScanRows operand, MemorySegment target, long stride) {
            if (operand == null) {
                return;
            }
            Window source = window(operand);
            for (int t = 0; t < rows; t++) {
                MemorySegment.copy(source.segment(), t * source.stride() * Float.BYTES, target, t * stride * Float.BYTES,
                        (long) columns() * Float.BYTES);
                if (!isFull()) {
                    target.asSlice((t * stride + columns()) * Float.BYTES, (long) (width - columns()) * Float.BYTES).fill((byte) 0);
                }
            }
        }

        /** Copies rows to their place in a result, unless it is null. */
        void store(MemorySegment source, long stride, ScanRows result) {
            if (result == null) {
                return;
            }
            Window target = window(result);
            for (int t = 0; t < rows; t++) {
                MemorySegment.copy(source, t * stride * Float.BYTES, target.segment(), t * target.stride() * Float.BYTES,
                        (long) columns() * Float.BYTES);
            }
        }

        boolean has(byte[] flags, int row, byte flag) {
            return flags != null && (flag(flags, row) & flag) != 0;
        }

        /**
         * End of the run that starts at {@code from}: one token that is skipped, or tokens that are not, of which only the first may reset
         * the state.
         */
        int runEnd(byte[] flags, int from) {
            if (flags == null) {
                return rows;
            }
            int to = from + 1;
            if ((flag(flags, from) & ScanInputs.SKIP) == 0) {
                while (to < rows && flag(flags, to) == 0) {
                    to++;
                }
            }
            return to;
        }

        /** Start of the run, in the sense of {@link #runEnd}, that ends before {@code to}. */
        int runStart(byte[] flags, int to) {
            if (flags == null) {
                return 0;
            }
            int from = to - 1;
            while (from > 0 && flag(flags, from) == 0 && (flag(flags, from - 1) & ScanInputs.SKIP) == 0) {
                from--;
            }
            return from;
        }

        private byte flag(byte[] flags, int row) {
            return flags[batch * shape.tokens() + token + row];
        }
    }

    /** Packs log2(e) A of a block; returns the largest |log2(e) A|, NaN if one is NaN. */
    static float pack(ScanInputs in, ScanScratch s, int width, int block) {
        int states = in.shape().states();
        int columns = Math.min(width, in.shape().channels() - block * width);
        float largest = 0;
        for (int n = 0; n < states; n++) {
            for (int j = 0; j < width; j++) {
                float a = j < columns ? LOG2E * in.a().getAtIndex(F32, (long) (block * width + j) * states + n) : 0;
                s.a.setAtIndex(F32, (long) n * width + j, a);
                largest = Math.max(largest, Math.abs(a));
            }
        }
        return largest;
    }

    /** Copies the elements of an (E) vector from a channel on, as many as {@code target} has; zero where there are none. */
    static void loadVector(MemorySegment source, MemorySegment target, ScanShape shape, int channel) {
        target.fill((byte) 0);
        if (source != null) {
            long start = (long) channel * Float.BYTES;
            MemorySegment.copy(source, start, target, 0, Math.min(target.byteSize(), (long) shape.channels() * Float.BYTES - start));
        }
    }

    static void storeVector(MemorySegment source, MemorySegment target, ScanShape shape, int channel) {
        if (target != null) {
            long start = (long) channel * Float.BYTES;
            MemorySegment.copy(source, 0, target, start, Math.min(source.byteSize(), (long) shape.channels() * Float.BYTES - start));
        }
    }

    /** Packs the rows of a block of a (B, E, N) tensor, zero where absent and outside the range of states. */
    static void loadState(MemorySegment source, MemorySegment target, ScanShape shape, int width, int batch, int block,
            StateRange range) {
        target.fill((byte) 0);
        if (source == null) {
            return;
        }
        int columns = Math.min(width, shape.channels() - block * width);
        long start = ((long) batch * shape.channels() + (long) block * width) * shape.states();
        for (int j = 0; j < columns; j++) {
            for (int n = range.from(); n < range.to(); n++) {
                target.setAtIndex(F32, (long) n * width + j, source.getAtIndex(F32, start + (long) j * shape.states() + n));
            }
        }
    }

    static void storeState(MemorySegment source, MemorySegment target, ScanShape shape, int width, int batch, int block,
            StateRange range) {
        if (target == null) {
            return;
        }
        int columns = Math.min(width, shape.channels() - block * width);
        long start = ((long) batch * shape.channels() + (long) block * width) * shape.states();
        for (int j = 0; j < columns; j++) {
            for (int n = range.from(); n < range.to(); n++) {
                target.setAtIndex(F32, start + (long) j * shape.states() + n, source.getAtIndex(F32, (long) n * width + j));
            }
        }
    }

    /** Copies rows of B or C without gaps. */
    static void copyRows(ScanRows source, int batch, int token, int rows, int states, MemorySegment target) {
        MemorySegment from = source.slice(batch, token, rows, 0, states);
        for (int t = 0; t < rows; t++) {
            MemorySegment.copy(from, t * source.tokenStride() * Float.BYTES, target, (long) t * states * Float.BYTES,
                    (long) states * Float.BYTES);
        }
    }
}
