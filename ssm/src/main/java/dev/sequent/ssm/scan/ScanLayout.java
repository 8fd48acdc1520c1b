package dev.sequent.ssm.scan;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Moves operands between row-major tensors and the packed tiles of a {@link ScanScratch}. */
final class ScanLayout {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    private static final float LOG2E = 1.44269504088896340736f;

    private ScanLayout() {}

    /**
     * Rows of an operand, or of a padded copy of them.
     *
     * @param segment the rows, or null when the operand is absent
     * @param stride distance of rows in elements
     */
    record Window(MemorySegment segment, long stride) {
        private static final Window NONE = new Window(null, 0);

        void zeroRow(int row, int width) {
            if (segment != null) {
                segment.asSlice(row * stride * Float.BYTES, (long) width * Float.BYTES).fill((byte) 0);
            }
        }
    }

    /**
     * Some tokens of one block of channels.
     *
     * @param shape sizes of the scan
     * @param width channels of a full block
     * @param batch the sequence
     * @param token the first token
     * @param rows number of tokens
     * @param block the block of channels
     */
    record Tile(ScanShape shape, int width, int batch, int token, int rows, int block) {
        int channel() {
            return block * width;
        }

        /** Channels of this block; fewer than {@link #width} at the end. */
        int columns() {
            return Math.min(width, shape.channels() - channel());
        }

        private boolean isFull() {
            return columns() == width;
        }

        /** The tile's rows of an operand where they lie, or, if the block is not full, copied to {@code staging} and padded with zeros. */
        Window read(ScanRows operand, MemorySegment staging) {
            if (operand == null) {
                return Window.NONE;
            }
            MemorySegment source = operand.slice(batch, token, rows, channel(), columns());
            if (isFull()) {
                return new Window(source, operand.tokenStride());
            }
            staging.fill((byte) 0);
            copy(source, operand.tokenStride(), staging, width);
            return new Window(staging, width);
        }

        /** Where the tile's rows of a result are to be written before {@link #store}. */
        Window write(ScanRows result, MemorySegment staging) {
            if (result == null) {
                return Window.NONE;
            }
            return isFull() ? new Window(result.slice(batch, token, rows, channel(), width), result.tokenStride())
                    : new Window(staging, width);
        }

        /** Brings rows that were written to staging memory to their place. */
        void store(Window window, ScanRows result) {
            if (result != null && !isFull()) {
                save(window.segment(), result);
            }
        }

        /** Copies the tile's rows of a result that is not finished yet. */
        void load(ScanRows partial, MemorySegment target) {
            if (partial != null) {
                copy(partial.slice(batch, token, rows, channel(), columns()), partial.tokenStride(), target, width);
            }
        }

        /** Copies rows to a result that another task will finish. */
        void save(MemorySegment source, ScanRows partial) {
            if (partial != null) {
                copy(source, width, partial.slice(batch, token, rows, channel(), columns()), partial.tokenStride());
            }
        }

        private void copy(MemorySegment source, long sourceStride, MemorySegment target, long targetStride) {
            for (int t = 0; t < rows; t++) {
                MemorySegment.copy(source, t * sourceStride * Float.BYTES, target, t * targetStride * Float.BYTES,
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

    /** Packs log2(e) A, bias and D of a block; returns the largest |log2(e) A|, NaN if one is NaN. */
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
        packVectors(in, s, width, block);
        return largest;
    }

    /** Packs bias and D of a block, zero where absent. */
    static void packVectors(ScanInputs in, ScanScratch s, int width, int block) {
        loadVector(in.deltaBias(), s.bias, in.shape(), width, block);
        loadVector(in.skip(), s.skip, in.shape(), width, block);
    }

    static void loadVector(MemorySegment source, MemorySegment target, ScanShape shape, int width, int block) {
        target.fill((byte) 0);
        if (source != null) {
            long bytes = (long) Math.min(width, shape.channels() - block * width) * Float.BYTES;
            MemorySegment.copy(source, (long) block * width * Float.BYTES, target, 0, bytes);
        }
    }

    static void storeVector(MemorySegment source, MemorySegment target, ScanShape shape, int width, int block) {
        if (target != null) {
            long bytes = (long) Math.min(width, shape.channels() - block * width) * Float.BYTES;
            MemorySegment.copy(source, 0, target, (long) block * width * Float.BYTES, bytes);
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
