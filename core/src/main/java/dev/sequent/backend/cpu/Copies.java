package dev.sequent.backend.cpu;

import dev.sequent.spi.Layout;
import dev.sequent.type.Shape;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Moves elements between layouts. Only their size matters, not their type. Thread-safe. */
final class Copies {
    private static final ValueLayout.OfByte B1 = ValueLayout.JAVA_BYTE;
    private static final ValueLayout.OfShort B2 = ValueLayout.JAVA_SHORT_UNALIGNED;
    private static final ValueLayout.OfInt B4 = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfLong B8 = ValueLayout.JAVA_LONG_UNALIGNED;
    /** Rows of fewer bytes are copied element by element: a bulk copy costs about as much as this. */
    private static final int BULK_BYTES = 96;
    /** Tile of a transposition: this many source rows are held in the first-level cache. */
    private static final int TILE_ROWS = 16;
    private static final int TILE_COLUMNS = 64;
    /** Source rows of a task of a transposition. */
    private static final int TASK_ROWS = 256;

    private final Machine machine;

    Copies(Machine machine) {
        this.machine = machine;
    }

    /** Elements in some layout: memory, position of the first element in bytes, strides in elements (of any sign). */
    record Place(MemorySegment memory, long offset, long[] strides) {
        static Place of(CpuHandle x) {
            return new Place(x.memory(), x.offset(), x.strides());
        }

        /** The same elements from index {@code start} on. */
        Place from(long[] start, int bytes) {
            long at = offset;
            for (int i = 0; i < start.length; i++) {
                at += start[i] * strides[i] * bytes;
            }
            return new Place(memory, at, strides);
        }
    }

    /** A new row-major copy. */
    CpuHandle dense(String op, CpuHandle x) {
        CpuHandle y = machine.allocate(op, x.shape(), x.dtype());
        return machine.produce(y, () -> copy(x.dtype().bytes(), x.shape(), Place.of(x), Place.of(y)));
    }

    /** A new copy without gaps whose axes lie in memory in the given order, outermost first. */
    CpuHandle dense(String op, CpuHandle x, int[] order) {
        CpuHandle y = machine.allocate(op, x.shape(), x.dtype(), Layout.dense(x.shape().toArray(), order));
        return machine.produce(y, () -> copy(x.dtype().bytes(), x.shape(), Place.of(x), Place.of(y)));
    }

    /** A handle to the same value in row-major order: a share of {@code x} where it is so already. */
    CpuHandle contiguous(String op, CpuHandle x) {
        return x.contiguous() ? x.share() : dense(op, x);
    }

    /** Copies {@code shape} elements of {@code bytes} bytes. The places do not overlap. */
    void copy(int bytes, Shape shape, Place source, Place target) {
        if (shape.size() == 0) {
            return;
        }
        long[] dims = shape.toArray();
        int[] order = Layout.order(dims, new long[][] {target.strides, source.strides});
        Layout.Space space = Layout.collapse(Layout.permute(dims, order),
                new long[][] {Layout.permute(source.strides, order), Layout.permute(target.strides, order)});
        long[][] strides = new long[2][];
        for (int k = 0; k < 2; k++) {
            strides[k] = space.strides()[k].clone();
            for (int i = 0; i < strides[k].length; i++) {
                strides[k][i] *= bytes;
            }
        }
        int last = space.rank() - 1;
        int column = -1;
        for (int i = 0; i < last; i++) {
            if (strides[0][i] == bytes && space.dims()[i] > 1) {
                column = i;
            }
        }
        if (strides[1][last] == bytes && strides[0][last] != bytes && strides[0][last] != 0 && column >= 0) {
            transpose(bytes, space.dims(), strides, column, source, target);
        } else {
            rows(bytes, space, strides, source, target);
        }
    }

    private void rows(int bytes, Layout.Space space, long[][] strides, Place source, Place target) {
        long inner = space.inner();
        int last = space.rank() - 1;
        long pieces = (inner + Machine.GRAIN - 1) / Machine.GRAIN;
        long length = Math.min(inner, Machine.GRAIN);
        boolean plain = bytes == 4 && pieces == 1 && last > 0 && strides[0][last] == 4 && strides[1][last] == 4;
        machine.range(space.rows() * pieces, Math.max(1, Machine.GRAIN / length), (from, to) -> {
            Cursor cursor = new Cursor(space.dims(), strides, from / pieces);
            if (plain) {
                for (long row = from; row < to;) {
                    int n = (int) Math.min(cursor.left(), to - row);
                    machine.kernels().copyRows(source.memory, source.offset + cursor.at(0), strides[0][last - 1],
                            target.memory, target.offset + cursor.at(1), strides[1][last - 1], n, (int) inner);
                    cursor.advance(n);
                    row += n;
                }
                return;
            }
            for (long block = from; block < to; block++) {
                long start = block % pieces * length;
                int n = (int) Math.min(length, inner - start);
                long s = source.offset + cursor.at(0) + start * strides[0][last];
                long t = target.offset + cursor.at(1) + start * strides[1][last];
                line(bytes, source.memory, s, strides[0][last], target.memory, t, strides[1][last], n);
                if (block % pieces == pieces - 1) {
                    cursor.advance();
                }
            }
        });
    }

    private void line(int bytes, MemorySegment x, long xo, long xs, MemorySegment y, long yo, long ys, int n) {
        if (xs == bytes && ys == bytes) {
            row(bytes, x, xo, y, yo, n);
        } else if (xs == 0 && ys == bytes) {
            repeat(bytes, x, xo, y, yo, n);
        } else if (bytes == 4 && xs == -4 && ys == 4) {
            machine.kernels().reverse(x, xo, y, yo, n);
        } else {
            strided(bytes, x, xo, xs, y, yo, ys, n);
        }
    }

    /** Transposes the planes spanned by axis {@code column}, dense in the source, and the last axis, dense in the target. */
    private void transpose(int bytes, long[] dims, long[][] strides, int column, Place source, Place target) {
        int last = dims.length - 1;
        long width = dims[last];
        long height = dims[column];
        long[] outer = dims.clone();
        outer[column] = 1;
        outer[last] = 1;
        long tiles = (height + TILE_COLUMNS - 1) / TILE_COLUMNS;
        long pieces = (width + TASK_ROWS - 1) / TASK_ROWS;
        long perPlane = tiles * pieces;
        long planes = 1;
        for (long d : outer) {
            planes *= d;
        }
        long perTask = Math.max(1, Machine.GRAIN / (Math.min(width, TASK_ROWS) * Math.min(height, TILE_COLUMNS)));
        machine.range(planes * perPlane, perTask, (from, to) -> {
            Cursor cursor = new Cursor(outer, strides, from / perPlane);
            for (long block = from; block < to; block++) {
                long top = block % perPlane / pieces * TILE_COLUMNS;
                long left = block % pieces * TASK_ROWS;
                int n = (int) Math.min(TILE_COLUMNS, height - top);
                int m = (int) Math.min(TASK_ROWS, width - left);
                long s = source.offset + cursor.at(0) + top * bytes + left * strides[0][last];
                long t = target.offset + cursor.at(1) + top * strides[1][column] + left * bytes;
                if (bytes == 4) {
                    machine.kernels().transpose(source.memory, s, strides[0][last], target.memory, t, strides[1][column], n, m);
                } else {
                    tiles(bytes, source.memory, s, strides[0][last], target.memory, t, strides[1][column], n, m);
                }
                if (block % perPlane == perPlane - 1) {
                    cursor.advance();
                }
            }
        });
    }

    /** Element i of target row j becomes element j of source row i, for j below n and i below m. */
    private static void tiles(int bytes, MemorySegment x, long xo, long xs, MemorySegment y, long yo, long ys, int n, int m) {
        for (int i = 0; i < m; i += TILE_ROWS) {
            for (int j = 0; j < n; j++) {
                strided(bytes, x, xo + i * xs + (long) j * bytes, xs, y, yo + j * ys + (long) i * bytes, bytes, Math.min(TILE_ROWS, m - i));
            }
        }
    }

    /** Copies {@code n} neighbouring elements. */
    static void row(int bytes, MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        if ((long) n * bytes >= BULK_BYTES) {
            MemorySegment.copy(x, xo, y, yo, (long) n * bytes);
        } else {
            strided(bytes, x, xo, bytes, y, yo, bytes, n);
        }
    }

    /** Writes one element {@code n} times. */
    static void repeat(int bytes, MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment t = y.asSlice(yo, (long) n * bytes);
        switch (bytes) {
            case 1 -> t.fill(x.get(B1, xo));
            case 2 -> {
                short v = x.get(B2, xo);
                for (int i = 0; i < n; i++) {
                    t.set(B2, 2L * i, v);
                }
            }
            case 4 -> {
                int v = x.get(B4, xo);
                for (int i = 0; i < n; i++) {
                    t.set(B4, 4L * i, v);
                }
            }
            default -> {
                long v = x.get(B8, xo);
                for (int i = 0; i < n; i++) {
                    t.set(B8, 8L * i, v);
                }
            }
        }
    }

    private static void strided(int bytes, MemorySegment x, long xo, long xs, MemorySegment y, long yo, long ys, int n) {
        switch (bytes) {
            case 1 -> {
                for (int i = 0; i < n; i++) {
                    y.set(B1, yo + i * ys, x.get(B1, xo + i * xs));
                }
            }
            case 2 -> {
                for (int i = 0; i < n; i++) {
                    y.set(B2, yo + i * ys, x.get(B2, xo + i * xs));
                }
            }
            case 4 -> {
                for (int i = 0; i < n; i++) {
                    y.set(B4, yo + i * ys, x.get(B4, xo + i * xs));
                }
            }
            default -> {
                for (int i = 0; i < n; i++) {
                    y.set(B8, yo + i * ys, x.get(B8, xo + i * xs));
                }
            }
        }
    }
}
