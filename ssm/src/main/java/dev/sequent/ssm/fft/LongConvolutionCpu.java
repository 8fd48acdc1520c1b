package dev.sequent.ssm.fft;

import dev.sequent.fused.HostTensors;
import dev.sequent.ssm.fft.Fft.Signal;
import dev.sequent.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/**
 * {@link LongConvolutionKernel} by FFT, F32. A task is a block of 2 {@link Fft#LANES} channels: channel c travels as the real and channel c
 * + LANES as the imaginary part of one complex signal, whose spectrum z is taken apart again by symmetry, u_1 = (z_f + conj z_{-f}) / 2 and
 * u_2 = (z_f - conj z_{-f}) / 2i.
 *
 * <p>Every sum is taken in a fixed order within one task, and rows of the batch do not meet, so results depend neither on the number of
 * threads nor on other rows. Thread-safe.
 */
final class LongConvolutionCpu implements LongConvolutionKernel {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final int LANES = Fft.LANES;
    private static final int BLOCK = 2 * LANES;
    /** 2 T points of LANES channels must be addressable in one array. */
    private static final int MAX_TIME = 1 << 24;

    private final HostTensors host;

    LongConvolutionCpu(HostTensors host) {
        this.host = host;
    }

    @Override
    public String name() {
        return "long-convolution/fft";
    }

    @Override
    public Optional<String> refusal(Tensor u) {
        return u.dim(1) > MAX_TIME ? Optional.of("takes at most " + MAX_TIME + " tokens, given " + u.dim(1)) : HostTensors.refusal(u);
    }

    /** Sizes of a problem. */
    private record Sizes(int batch, int time, int channels, Fft fft) {
        static Sizes of(Tensor u) {
            return new Sizes((int) u.dim(0), (int) u.dim(1), (int) u.dim(2), new Fft(Fft.lengthFor((int) u.dim(1))));
        }

        int blocks() {
            return (channels + BLOCK - 1) / BLOCK;
        }

        /** Channels from {@code first} on that fill one part of a signal. */
        int lanes(int first) {
            return Math.clamp(channels - first, 0, LANES);
        }
    }

    @Override
    public Tensor forward(Tensor u, Tensor k) {
        Sizes s = Sizes.of(u);
        Tensor y = host.allocate(u);
        MemorySegment us = host.read(u);
        MemorySegment ks = host.read(k);
        MemorySegment ys = host.read(y);
        host.parallel().forEach(s.blocks(), block -> {
            int first = block * BLOCK;
            Signal kernel = spectrumOfKernel(ks, s, first);
            Signal row = new Signal(s.fft.length());
            Signal product = new Signal(s.fft.length());
            for (int b = 0; b < s.batch; b++) {
                load(us, s, b, first, row);
                s.fft.transform(row, false);
                product.clear();
                addProduct(row, kernel, false, product);
                s.fft.transform(product, true);
                store(product, ys, s, b, first);
            }
        });
        return y;
    }

    @Override
    public Tensor[] backward(Tensor dy, Tensor u, Tensor k) {
        Sizes s = Sizes.of(u);
        Tensor du = host.allocate(u);
        Tensor dk = host.allocate(k);
        MemorySegment gs = host.read(dy);
        MemorySegment us = host.read(u);
        MemorySegment ks = host.read(k);
        MemorySegment dus = host.read(du);
        MemorySegment dks = host.read(dk);
        host.parallel().forEach(s.blocks(), block -> {
            int first = block * BLOCK;
            Signal kernel = spectrumOfKernel(ks, s, first);
            Signal gradient = new Signal(s.fft.length());
            Signal input = new Signal(s.fft.length());
            Signal product = new Signal(s.fft.length());
            Signal correlation = new Signal(s.fft.length());
            for (int b = 0; b < s.batch; b++) {
                load(us, s, b, first, input);
                s.fft.transform(input, false);
                load(gs, s, b, first, gradient);
                s.fft.transform(gradient, false);
                addProduct(gradient, input, true, correlation);
                product.clear();
                addProduct(gradient, kernel, true, product);
                s.fft.transform(product, true);
                store(product, dus, s, b, first);
            }
            s.fft.transform(correlation, true);
            storeKernel(correlation, dks, s, first);
        });
        return new Tensor[] {du, dk};
    }

    private static Signal spectrumOfKernel(MemorySegment k, Sizes s, int first) {
        Signal x = new Signal(s.fft.length());
        loadKernel(k, s, first, x.re);
        loadKernel(k, s, first + LANES, x.im);
        s.fft.transform(x, false);
        return x;
    }

    /**
     * sum += the spectrum, again of two channels at once, of the channelwise convolutions of x and k; with {@code correlate}, of x with the
     * time-reversed k.
     */
    private static void addProduct(Signal x, Signal k, boolean correlate, Signal sum) {
        int n = x.re.length / LANES;
        float sign = correlate ? -1 : 1;
        for (int f = 0; f <= n / 2; f++) {
            int mirror = f == 0 ? 0 : n - f;
            addProduct(x.re, x.im, k.re, k.im, sum.re, sum.im, f * LANES, mirror * LANES, sign, f != mirror);
        }
    }

    private static void addProduct(float[] xr, float[] xi, float[] kr, float[] ki, float[] sr, float[] si, int f, int m, float sign,
            boolean both) {
        for (int c = 0; c < LANES; c++) {
            float x1r = 0.5f * (xr[f + c] + xr[m + c]);
            float x1i = 0.5f * (xi[f + c] - xi[m + c]);
            float x2r = 0.5f * (xi[f + c] + xi[m + c]);
            float x2i = 0.5f * (xr[m + c] - xr[f + c]);
            float k1r = 0.5f * (kr[f + c] + kr[m + c]);
            float k1i = sign * 0.5f * (ki[f + c] - ki[m + c]);
            float k2r = 0.5f * (ki[f + c] + ki[m + c]);
            float k2i = sign * 0.5f * (kr[m + c] - kr[f + c]);
            float y1r = x1r * k1r - x1i * k1i;
            float y1i = x1r * k1i + x1i * k1r;
            float y2r = x2r * k2r - x2i * k2i;
            float y2i = x2r * k2i + x2i * k2r;
            sr[f + c] += y1r - y2i;
            si[f + c] += y1i + y2r;
            if (both) { // the spectra of real signals at -f are the conjugates
                sr[m + c] += y1r + y2i;
                si[m + c] += y2r - y1i;
            }
        }
    }

    private static void loadKernel(MemorySegment k, Sizes s, int first, float[] x) {
        for (int c = 0; c < s.lanes(first); c++) {
            long row = (long) (first + c) * s.time;
            for (int t = 0; t < s.time; t++) {
                x[t * LANES + c] = k.get(FLOAT, 4 * (row + t));
            }
        }
    }

    private static void storeKernel(Signal x, MemorySegment k, Sizes s, int first) {
        storeKernel(x.re, k, s, first);
        storeKernel(x.im, k, s, first + LANES);
    }

    private static void storeKernel(float[] x, MemorySegment k, Sizes s, int first) {
        float scale = 1f / s.fft.length();
        for (int c = 0; c < s.lanes(first); c++) {
            long row = (long) (first + c) * s.time;
            for (int t = 0; t < s.time; t++) {
                k.set(FLOAT, 4 * (row + t), x[t * LANES + c] * scale);
            }
        }
    }

    private static void load(MemorySegment u, Sizes s, int b, int first, Signal x) {
        x.clear();
        load(u, s, b, first, x.re);
        load(u, s, b, first + LANES, x.im);
    }

    private static void load(MemorySegment u, Sizes s, int b, int first, float[] x) {
        int lanes = s.lanes(first);
        for (int t = 0; lanes > 0 && t < s.time; t++) {
            MemorySegment.copy(u, ValueLayout.JAVA_FLOAT, 4L * (((long) b * s.time + t) * s.channels + first), x, t * LANES, lanes);
        }
    }

    private static void store(Signal x, MemorySegment y, Sizes s, int b, int first) {
        store(x.re, y, s, b, first);
        store(x.im, y, s, b, first + LANES);
    }

    private static void store(float[] x, MemorySegment y, Sizes s, int b, int first) {
        float scale = 1f / s.fft.length();
        int lanes = s.lanes(first);
        for (int i = 0; i < s.time * LANES; i++) {
            x[i] *= scale;
        }
        for (int t = 0; lanes > 0 && t < s.time; t++) {
            MemorySegment.copy(x, t * LANES, y, ValueLayout.JAVA_FLOAT, 4L * (((long) b * s.time + t) * s.channels + first), lanes);
        }
    }
}
