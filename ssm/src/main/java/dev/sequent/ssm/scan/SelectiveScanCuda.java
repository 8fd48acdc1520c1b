package dev.sequent.ssm.scan;

import dev.sequent.fused.DeviceTensors;
import dev.sequent.spi.DeviceCode;
import dev.sequent.spi.DeviceCode.Grid;
import dev.sequent.spi.DeviceCode.Source;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.List;
import java.util.Optional;

/**
 * {@link SelectiveScanKernel} in device code: {@code selective_scan.cu}, which tells how. Kept for the backward pass is one state for every
 * {@link Tiling#tile} tokens.
 *
 * <p>Results do not depend on the device: how time is cut into chunks follows from the shape alone. Thread-safe.
 */
final class SelectiveScanCuda implements SelectiveScanKernel {
    private static final String FILE = "selective_scan";
    private static final int MOST_STATES = 256;
    /** Time is cut into chunks until there are so many blocks: two for each multiprocessor of a large GPU. */
    private static final int WANTED_BLOCKS = 264;
    /** Below this, a chunk costs more than it gains. */
    private static final int LEAST_CHUNK = 64;

    private final DeviceTensors device;

    SelectiveScanCuda(DeviceTensors device) {
        this.device = device;
    }

    /**
     * How a number of states is divided; see the head of the source.
     *
     * @param lanes threads that share a channel
     * @param states states in the registers of a thread
     * @param tile tokens that lie in shared memory at a time
     */
    record Tiling(int lanes, int states, int tile) {
        static final int THREADS = 128;

        static Tiling of(int n) {
            int padded = n == 1 ? 1 : Integer.highestOneBit(n - 1) << 1;
            int lanes = Math.clamp(padded / 4, 1, 16);
            int states = padded / lanes;
            return new Tiling(lanes, states, lanes >= 4 ? 64 / states : 8);
        }

        int channels() {
            return THREADS / lanes;
        }
    }

    /** The program for a dtype and a number of states. */
    static Source source(DType dtype, int n) {
        String t = "<" + DeviceTensors.type(dtype) + ">";
        Tiling tiling = Tiling.of(n);
        return DeviceTensors.source(SelectiveScanCuda.class, FILE, "scan_forward" + t, "scan_chunks" + t, "scan_carries" + t,
            "scan_backward" + t, "sum_parts" + t)
            .define("STATE_SIZE", n).define("LANES", tiling.lanes).define("STATES", tiling.states).define("TILE", tiling.tile);
    }

    @Override
    public String name() {
        return "selective-scan/cuda";
    }

    @Override
    public Optional<String> refusal(SelectiveScan.Operands x) {
        if (x.u().size() == 0 || x.a().size() == 0) {
            return Optional.of("takes at least one element, given " + x.u().shape() + " and " + x.a().shape());
        }
        if (x.a().dim(1) > MOST_STATES || x.u().dim(0) > 65535) {
            return Optional.of("takes at most " + MOST_STATES + " states and 65535 sequences, given " + x.a().dim(1) + " and " + x.u()
                .dim(0));
        }
        return DeviceTensors.refusal(x.u());
    }

    /** One problem, ready for launches. */
    private final class Run {
        final SelectiveScan.Operands x;
        final ScanShape shape;
        final Tiling tiling;
        final int chunks;
        final Tensor[] operands;
        final long[] sizes;
        final Tensor resets;

        Run(SelectiveScan.Operands x, byte[] flags) {
            this.x = x;
            shape = x.shape();
            tiling = Tiling.of(shape.states());
            int blocks = shape.batch() * channelBlocks();
            int wanted = Math.clamp(Math.ceilDiv(WANTED_BLOCKS, blocks), 1, Math.ceilDiv(shape.tokens(), LEAST_CHUNK));
            int chunk = Math.ceilDiv(Math.ceilDiv(shape.tokens(), wanted), tiling.tile) * tiling.tile;
            chunks = Math.ceilDiv(shape.tokens(), chunk);
            Tensor[] rows = {device.tokens(x.u()), device.tokens(x.delta()), device.tokens(x.b()), device.tokens(x.c()),
                device.tokens(x.z())};
            operands = new Tensor[] {rows[0], rows[1], rows[2], rows[3], rows[4], device.dense(x.a()), device.dense(x.skip()),
                device.dense(x.deltaBias()),
                flags == null ? null : DeviceTensors.flags(flags, x.u())};
            sizes = new long[] {shape.tokens(), shape.channels(), x.softplus() ? 1 : 0, chunk, distance(rows[0]), distance(rows[1]),
                distance(rows[2]),
                distance(rows[3]), distance(rows[4])};
            resets = flags == null || chunks == 1 ? null : resets(flags, chunk);
        }

        int channelBlocks() {
            return Math.ceilDiv(shape.channels(), tiling.channels());
        }

        private Tensor resets(byte[] flags, int chunk) {
            int[] resets = new int[shape.batch() * chunks];
            for (int i = 0; i < flags.length; i++) {
                resets[i / shape.tokens() * chunks + i % shape.tokens() / chunk] |= flags[i] & ScanInputs.RESET;
            }
            return Tensor.of(x.u().device(), resets, resets.length);
        }

        void launch(String function, Object... arguments) {
            Grid grid = Grid.of(channelBlocks(), Tiling.THREADS).blocks(channelBlocks(), shape.batch(), chunks);
            Object[] all = new Object[arguments.length + 2];
            all[0] = operands;
            all[1] = sizes;
            System.arraycopy(arguments, 0, all, 2, arguments.length);
            device.launch(function(function), grid, all);
        }

        DeviceCode.Function function(String name) {
            return device.function(x.u(), List.of(x.u().dtype(), shape.states()), () -> source(x.u().dtype(), shape.states()), name);
        }

        Tensor floats(long... sizes) {
            return device.allocate(x.u(), DType.F32, Shape.of(sizes));
        }

        /** Turns ends of chunks into what precedes them; see {@code scan_chunks}. */
        void scanChunks(Tensor first, Tensor sums, Tensor ends, boolean reverse) {
            long total = (long) shape.batch() * shape.channels() * shape.states();
            device.launch(function("scan_chunks"), DeviceTensors.covering(total), operands[5], device.dense(first), sums, resets, ends,
                chunks,
                shape.channels(), total, reverse);
        }

        Tensor saved() {
            return floats(shape.batch(), Math.ceilDiv(shape.tokens(), tiling.tile), shape.channels(), shape.states());
        }
    }

    private long distance(Tensor x) {
        return x == null ? 0 : device.strides(x)[1];
    }

    @Override
    public Tensor[] forward(SelectiveScan.Operands x, byte[] flags, boolean save) {
        Run run = new Run(x, flags);
        ScanShape s = run.shape;
        Tensor y = device.allocate(x.u());
        Tensor last = device.allocate(x.u(), x.u().dtype(), Shape.of(s.batch(), s.channels(), s.states()));
        Tensor saved = save ? run.saved() : null;
        Tensor starts = null;
        if (run.chunks > 1) {
            starts = run.floats(s.batch(), run.chunks, s.channels(), s.states());
            Tensor sums = run.floats(s.batch(), run.chunks, s.channels());
            run.launch("scan_forward", null, null, null, null, null, starts, sums);
            run.scanChunks(x.initialState(), sums, starts, false);
        }
        run.launch("scan_forward", device.dense(x.initialState()), starts, saved, y, last, null, null);
        return new Tensor[] {y, last, saved};
    }

    @Override
    public Tensor[] backward(SelectiveScan.Operands x, byte[] flags, Tensor saved, Tensor dy, Tensor dFinalState) {
        Run run = new Run(x, flags);
        ScanShape s = run.shape;
        Tensor gradient = device.dense(dy);
        Tensor carries = null;
        if (run.chunks > 1) {
            carries = run.floats(s.batch(), run.chunks, s.channels(), s.states());
            Tensor sums = run.floats(s.batch(), run.chunks, s.channels());
            run.launch("scan_carries", gradient, carries, sums);
            run.scanChunks(dFinalState, sums, carries, true);
        }
        Tensor[] operands = x.tensors();
        Tensor[] d = new Tensor[operands.length];
        for (int i = 0; i < d.length; i++) {
            d[i] = device.allocate(operands[i]);
        }
        int chunks = s.batch() * run.chunks;
        Tensor aParts = run.floats(chunks, s.channels(), s.states());
        Tensor skipParts = x.skip() == null ? null : run.floats(chunks, s.channels());
        Tensor biasParts = x.deltaBias() == null ? null : run.floats(chunks, s.channels());
        Tensor bParts = run.floats(run.channelBlocks(), s.batch(), s.tokens(), s.states());
        Tensor cParts = run.floats(run.channelBlocks(), s.batch(), s.tokens(), s.states());
        run.launch("scan_backward", gradient, device.dense(dFinalState), carries, saved, d[0], d[1], d[7], d[8], aParts, skipParts,
            biasParts, bParts, cParts);
        DeviceCode.Function sums = run.function("sum_parts");
        device.sumParts(sums, aParts, chunks, d[2]);
        device.sumParts(sums, bParts, run.channelBlocks(), d[3]);
        device.sumParts(sums, cParts, run.channelBlocks(), d[4]);
        device.sumParts(sums, skipParts, chunks, d[5]);
        device.sumParts(sums, biasParts, chunks, d[6]);
        return d;
    }
}
