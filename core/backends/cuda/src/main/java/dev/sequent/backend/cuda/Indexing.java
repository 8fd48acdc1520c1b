package dev.sequent.backend.cuda;

import dev.sequent.spi.DeviceCode.Grid;
import dev.sequent.spi.Layout;
import dev.sequent.spi.Layout.Space;
import dev.sequent.type.BackendException;
import dev.sequent.type.Shape;
import java.util.Arrays;

/**
 * Gathering and scattering by index on one device. Sums of repeated indices run in ascending order: by one thread for each line
 * along the axis where there are many lines, else after a stable sort of the entries by target. Called with the device's lock.
 */
final class Indexing {
    private static final int THREADS = 256;
    /** Shorter lines than this are summed by one thread, however few lines there are. */
    private static final long SHORT = 64;
    /** Fewer lines per multiprocessor than this leave it idle. */
    private static final long LINES_PER_MULTIPROCESSOR = 256;
    private static final int DIGIT_BITS = 8;
    private static final int DIGITS = 1 << DIGIT_BITS;
    private static final long ENTRIES_PER_BLOCK = 2048;

    private final CudaDevice device;
    private final Kernels kernels;
    private final Movement movement;

    Indexing(CudaDevice device, Kernels kernels, Movement movement) {
        this.device = device;
        this.kernels = kernels;
        this.movement = movement;
    }

    /** Index tensors in the form of {@link #gather}: their strides along the axes of the result. */
    private static long[] alongAxis(CudaHandle vector, int axis, int rank) {
        long[] strides = new long[rank];
        strides[axis] = vector.strides()[0];
        return strides;
    }

    CudaHandle gather(CudaHandle x, int axis, CudaHandle index) {
        return pick("gather", x, axis, index, index.shape(), index.strides());
    }

    CudaHandle indexSelect(CudaHandle x, int axis, CudaHandle index) {
        Shape shape = x.shape().with(axis, index.size());
        return pick("indexSelect", x, axis, index, shape, alongAxis(index, axis, shape.rank()));
    }

    private CudaHandle pick(String op, CudaHandle x, int axis, CudaHandle index, Shape shape, long[] indexStrides) {
        CudaHandle y = device.allocate(op, shape, x.dtype());
        long[] from = x.strides().clone();
        from[axis] = 0;
        String name = "gather<" + Kernels.word(x.dtype()) + ", " + Kernels.type(index.dtype()) + ">";
        device.launch(kernels.indexing(name), device.grid(y.size(), THREADS), x, index, y, y.size(), x.shape().dim(axis), x.strides()[axis],
                Strides.argument(op, Layout.collapse(shape.toArray(), from, indexStrides)));
        return y;
    }

    CudaHandle scatterAdd(CudaHandle x, int axis, CudaHandle index, CudaHandle source) {
        CudaHandle y = movement.dense("scatterAdd", x);
        if (source.size() == 0 || x.size() == 0) {
            return y;
        }
        if (byLines(source, axis)) {
            addLines("scatterAdd", y, axis, index, index.strides(), source);
            return y;
        }
        long[] dims = source.shape().toArray();
        long inner = y.shape().strides()[axis];
        Space keys = Layout.collapse(dims, index.strides());
        addSorted("scatterAdd", y, index, keys, new Keys(source.size(), x.shape().dim(axis), inner, dims[axis], x.size()), source,
                Layout.collapse(dims, source.strides()), 1, 0);
        return y;
    }

    CudaHandle indexAdd(CudaHandle x, int axis, CudaHandle index, CudaHandle source) {
        CudaHandle y = movement.dense("indexAdd", x);
        if (source.size() == 0 || x.size() == 0) {
            return y;
        }
        if (byLines(source, axis) || x.size() / x.shape().dim(axis) != y.shape().strides()[axis]) {
            addLines("indexAdd", y, axis, index, alongAxis(index, axis, source.shape().rank()), source);
            return y;
        }
        // axes outside of this one have size 1: whole rows are added
        CudaHandle rows = movement.contiguous("indexAdd", source);
        long width = y.shape().strides()[axis];
        long size = x.shape().dim(axis);
        long length = index.size();
        addSorted("indexAdd", y, index, Layout.collapse(new long[] {length}, index.strides()), new Keys(length, size, 1, length, size),
                rows, Layout.collapse(new long[] {length}, new long[] {width}), width, 1);
        rows.release();
        return y;
    }

    /** Whether every line along the axis is summed by a thread of its own. */
    private boolean byLines(CudaHandle source, int axis) {
        long length = source.shape().dim(axis);
        long lines = source.size() / length;
        return length <= SHORT || lines >= LINES_PER_MULTIPROCESSOR * device.limits().multiprocessors()
                || source.size() > Integer.MAX_VALUE;
    }

    private void addLines(String op, CudaHandle y, int axis, CudaHandle index, long[] indexStrides, CudaHandle source) {
        boolean[] chosen = new boolean[source.shape().rank()];
        chosen[axis] = true;
        long length = source.shape().dim(axis);
        long lines = source.size() / length;
        Space space = Layout.collapse(Strides.select(source.shape().toArray(), chosen, false),
                Strides.select(source.strides(), chosen, false), Strides.select(indexStrides, chosen, false));
        String name = "scatter_lines<" + Kernels.type(y.dtype()) + ", " + Kernels.type(index.dtype()) + ">";
        device.launch(kernels.indexing(name), device.grid(lines, THREADS), y, index, source, lines, length, y.shape().dim(axis),
                y.shape().strides()[axis], source.strides()[axis], indexStrides[axis], Strides.argument(op, space));
    }

    /**
     * How entries become keys: their number, sizes of the target's axis and of what is inside of it, length along the axis, and the key of
     * none.
     */
    private record Keys(long entries, long size, long inner, long length, long none) {}

    private void addSorted(String op, CudaHandle y, CudaHandle index, Space indexSpace, Keys k, CudaHandle source, Space rows, long width,
            long column) {
        long n = k.entries;
        if (n > Integer.MAX_VALUE) {
            throw new BackendException(op, "at most 2^31 - 1 indices", Long.toString(n));
        }
        int blocks = (int) Math.min((n + ENTRIES_PER_BLOCK - 1) / ENTRIES_PER_BLOCK, 4L * device.limits().multiprocessors());
        long share = (n + blocks - 1) / blocks;
        Grid sorting = Grid.of(blocks, DIGITS);
        CudaScratch[] keys = {device.scratch(op, n * Long.BYTES), device.scratch(op, n * Long.BYTES)};
        CudaScratch[] entries = {device.scratch(op, n * Integer.BYTES), device.scratch(op, n * Integer.BYTES)};
        CudaScratch counts = device.scratch(op, (long) DIGITS * blocks * Integer.BYTES);
        device.launch(kernels.indexing("scatter_keys<" + Kernels.type(index.dtype()) + ">"), device.grid(n, THREADS), index, keys[0],
                entries[0], n, k.size, k.inner, k.length, k.none, Strides.argument(op, indexSpace));
        int from = 0;
        for (int shift = 0; shift < Long.SIZE - Long.numberOfLeadingZeros(k.none); shift += DIGIT_BITS) {
            device.launch(kernels.indexing("digit_counts"), sorting, keys[from], counts, n, share, shift);
            device.launch(kernels.indexing("digit_offsets"), Grid.of(1, DIGITS), counts, (long) DIGITS * blocks);
            device.launch(kernels.indexing("digit_scatter"), sorting, keys[from], entries[from], keys[1 - from], entries[1 - from], counts,
                    n, share, shift);
            from = 1 - from;
        }
        device.launch(kernels.indexing("scatter_runs<" + Kernels.type(y.dtype()) + ">"), device.grid(n * width, THREADS), y, keys[from],
                entries[from], source, n, width, k.none, Strides.argument(op, rows), column);
        Arrays.stream(keys).forEach(CudaScratch::close);
        Arrays.stream(entries).forEach(CudaScratch::close);
        counts.close();
    }
}
