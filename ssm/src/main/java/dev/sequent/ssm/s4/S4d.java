package dev.sequent.ssm.s4;

import dev.sequent.autograd.Split;
import dev.sequent.cost.Work;
import dev.sequent.cost.Workload;
import dev.sequent.mixer.RecurrentMixer;
import dev.sequent.mixer.RecurrentState;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.StateCost;
import dev.sequent.mixer.StateSpec;
import dev.sequent.nn.Dropout;
import dev.sequent.nn.Init;
import dev.sequent.nn.Linear;
import dev.sequent.nn.Parameter;
import dev.sequent.op.UnaryOp;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.List;

/**
 * S4D: every channel is a linear state-space model with a diagonal complex state matrix.
 *
 * <p>For each channel, with N / 2 conjugate pairs of states n: h' = A h + u, y = 2 Re(sum_n C_n h_n) + D u. Discretised with step size dt,
 * h_t = dA h_{t-1} + dB u_t where
 * <ul>
 *   <li>zero-order hold: dA = e^{dt A}, dB = (dA - 1) / A;
 *   <li>bilinear: dA = (1 + dt A / 2) / (1 - dt A / 2), dB = dt / (1 - dt A / 2).
 * </ul>
 * so that y = K * u + D u with K_l = 2 Re(sum_n C_n dB_n dA_n^l). The output is GLU(W GELU(y) + b).
 *
 * <p>Both forms are one function, {@link DiagonalScan}: a kernel of the device runs the recurrence; without one, tensor operations convolve
 * within chunks of tokens and carry states between them. Both cost O(T) time and memory over a sequence, and O(1) for a token.
 *
 * <p>Parameters: {@code log_dt} (D), {@code log_A_real} and {@code A_imag} (D, N/2) with A = -e^{log_A_real} + i A_imag, {@code C} (D, N/2,
 * 2), {@code D} (D), {@code output_linear.weight} (2 D, D), {@code output_linear.bias}. State: {@code h_re}, {@code h_im} (B, D, N/2).
 *
 * <p>Source: Gu, Gupta, Goel and Re 2022, equations 2, 3 and 9; initial values from section 4 (S4D-Lin, S4D-Inv, S4D-LegS, whose B is part
 * of the initial C).
 */
public final class S4d extends RecurrentMixer {
    private final S4dConfig config;
    private final int width;
    private final Parameter logDt;
    private final Parameter logARe;
    private final Parameter aIm;
    private final Parameter c;
    private final Parameter d;
    private final Linear output;

    S4d(S4dConfig config, int width, Init init) {
        this.config = config;
        this.width = width;
        int pairs = config.state_size() / 2;
        this.logDt = param("log_dt", init.uniform(Math.log(config.dt_min()), Math.log(config.dt_max()), width), Parameter.Flag.NO_DECAY,
                Parameter.Flag.KEEP_F32);
        Hippo.Spectrum spectrum = spectrum(config);
        this.logARe = param("log_A_real", rows(init, log(negated(spectrum.re()))), Parameter.Flag.NO_DECAY, Parameter.Flag.KEEP_F32);
        this.aIm = param("A_imag", rows(init, spectrum.im()), Parameter.Flag.NO_DECAY, Parameter.Flag.KEEP_F32);
        this.c = param("C", initialC(init, spectrum, width, pairs));
        this.d = param("D", init.normal(1, width), Parameter.Flag.NO_DECAY);
        this.output = child("output_linear", new Linear(init, width, 2L * width, true));
    }

    private static Hippo.Spectrum spectrum(S4dConfig config) {
        int n = config.state_size();
        int pairs = n / 2;
        double[] re = new double[pairs];
        double[] im = new double[pairs];
        double[] one = new double[pairs];
        for (int i = 0; i < pairs; i++) {
            re[i] = -0.5;
            im[i] = config.init().equals("inv") ? n / Math.PI * (n / (2.0 * i + 1) - 1) : Math.PI * i;
            one[i] = 1;
        }
        return config.init().equals("legs") ? Hippo.legsSpectrum(n) : new Hippo.Spectrum(re, im, one);
    }

    private static double[] negated(double[] x) {
        return java.util.Arrays.stream(x).map(v -> -v).toArray();
    }

    private static double[] log(double[] x) {
        return java.util.Arrays.stream(x).map(Math::log).toArray();
    }

    /** The same values for every channel. */
    private Tensor rows(Init init, double[] values) {
        return init.make(() -> Tensor.of(init.device(), values, 1, values.length).broadcastTo(Shape.of(width, values.length)));
    }

    /** Complex normal numbers of variance 1, times B of the spectrum. */
    private static Tensor initialC(Init init, Hippo.Spectrum s, int width, int pairs) {
        return init.make(() -> {
            Tensor g = init.normal(Math.sqrt(0.5), width, pairs, 2);
            return g.mul(Tensor.of(init.device(), s.b(), pairs, 1).cast(g.dtype()));
        });
    }

    @Override
    public int width() {
        return width;
    }

    @Override
    public List<RecurrentState.Slot> stateLayout(StateSpec spec) {
        Shape shape = Shape.of(spec.batch(), width, config.state_size() / 2);
        DType dtype = wide(spec.dtype());
        return List.of(new RecurrentState.Slot("h_re", shape, dtype), new RecurrentState.Slot("h_im", shape, dtype));
    }

    private static DType wide(DType dtype) {
        return dtype == DType.F64 ? DType.F64 : DType.F32;
    }

    @Override
    public Carried scan(Tensor x, SequenceInfo info, List<Tensor> state) {
        DiagonalScan.Result r = DiagonalScan.apply(operands(x, state), info);
        return new Carried(finish(r.y().cast(x.dtype()), info), List.of(r.stateRe(), r.stateIm()));
    }

    private DiagonalScan.Operands operands(Tensor x, List<Tensor> state) {
        DType wide = wide(x.dtype());
        DiagonalScan.Discretisation discretisation =
                config.discretisation().equals("zoh") ? DiagonalScan.Discretisation.ZERO_ORDER_HOLD : DiagonalScan.Discretisation.BILINEAR;
        return new DiagonalScan.Operands(x.cast(wide), logDt.value().cast(wide), logARe.value().cast(wide), aIm.value().cast(wide),
                c.value().cast(wide), d.value().cast(wide), state == null ? null : state.get(0).cast(wide),
                state == null ? null : state.get(1).cast(wide), discretisation);
    }

    @Override
    protected Carried advance(Tensor x, List<Tensor> state) {
        return scan(x, SequenceInfo.of(x), state);
    }

    @Override
    protected Tensor overwrite(Tensor x, List<Tensor> state) {
        if (state.getFirst().dtype() != wide(x.dtype())) {
            return null;
        }
        Tensor y = DiagonalScan.overwrite(operands(x, state));
        return y == null ? null : finish(y.cast(x.dtype()), SequenceInfo.of(x));
    }

    /** GLU(W GELU(y) + b); zero at padding, where b would remain. */
    private Tensor finish(Tensor y, SequenceInfo info) {
        Tensor g = Dropout.apply(y.unary(UnaryOp.GELU), config.dropout(), info.dropout());
        Tensor[] halves = Split.apply(output.forward(g), -1, width, width);
        return info.withoutPadding(halves[0].mul(halves[1].sigmoid()));
    }

    @Override
    public Work work(Workload w) {
        double modes = width * config.state_size() / 2.0;
        Work finish = Work.pointwise(w, w.tokens() * width, 9, 1, 1).plus(output.work(w))
                .plus(Work.pointwise(w, w.tokens() * width, 3, 2, 1));
        Work carried = Work.state(w, 2 * modes * wide(w.dtype()).bytes());
        // per mode, once: discretisation; per token: a complex multiply-add with a real input and the real part of a product; backward, the
        // states again, their adjoint, and the sums that derivatives by a, b and c are made of
        Work scan = Work.pointwise(w, w.tokens() * width, 0, 1, 1)
                .plus(new Work(0, modes * (w.isForward() ? w.tokens() * 11 + 90 : w.tokens() * 34 + 60), 0));
        return scan.plus(finish).plus(carried);
    }

    @Override
    public StateCost cost(StateSpec spec) {
        long states = (long) width * config.state_size() / 2;
        DType dtype = wide(spec.dtype());
        long bytes = parameters().stream().mapToLong(p -> p.value().size() * p.value().dtype().bytes()).sum();
        return new StateCost(2 * states * dtype.bytes(), 0, bytes);
    }
}
