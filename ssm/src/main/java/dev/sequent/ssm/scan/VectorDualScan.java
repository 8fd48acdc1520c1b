package dev.sequent.ssm.scan;

import dev.sequent.fused.LaneSum;
import dev.sequent.fused.VectorExp;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The loops of the state-space dual along tokens in the Vector API. Eight states of two vectors of columns stay in registers where vectors
 * have 16 lanes, and of one vector elsewhere.
 */
final class VectorDualScan implements DualScan {
    private static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    private static final ByteOrder LE = ByteOrder.nativeOrder();
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    private static final int L = S.length();
    private static final int W = DualLayout.WIDE;
    private static final int BLOCK = DualLayout.BLOCK;
    /** Up to here {@link VectorExp} is defined. */
    private static final float LARGEST_EXPONENT = 0.5f;

    private static MemorySegment part(MemorySegment s, int at, int floats) {
        return s.asSlice(at * 4L, floats * 4L);
    }

    @Override
    public void decays(float[] dt, float a, int count, float[] out) {
        for (int i = 0; i < count; i += L) {
            FloatVector x = FloatVector.fromArray(S, dt, i).mul(a);
            if (x.compare(VectorOperators.GT, LARGEST_EXPONENT).anyTrue()) {
                exponentials(dt, a, i, out);
            } else {
                VectorExp.exp(x).intoArray(out, i);
            }
        }
    }

    private static void exponentials(float[] dt, float a, int from, float[] out) {
        for (int i = from; i < from + L; i++) {
            out[i] = (float) Math.exp(dt[i] * a);
        }
    }

    @Override
    public void interleave(MemorySegment from, int row, int rows, int states, float[] to, int at, int pitch) {
        MemorySegment m = part(from, 0, (rows - 1) * row + states);
        int whole = states - states % L;
        int padded = Math.ceilDiv(states, BLOCK) * BLOCK;
        for (int t = 0; t < rows; t++) {
            int place = at + t * 2 * BLOCK;
            for (int n = 0; n < whole; n += L) {
                FloatVector v = FloatVector.fromMemorySegment(S, m, (t * row + n) * 4L, LE);
                v.intoArray(to, place + n / BLOCK * pitch * 2 * BLOCK + n % BLOCK);
            }
            for (int n = whole; n < padded; n++) {
                to[place + n / BLOCK * pitch * 2 * BLOCK + n % BLOCK] = n < states ? m.get(F32, (t * row + n) * 4L) : 0;
            }
        }
    }

    @Override
    public void drive(DualLayout layout, MemorySegment x, int xRow, int from, int to, float[] weights, float[] direct,
            MemorySegment u, MemorySegment y) {
        int width = layout.width();
        MemorySegment xs = part(x, 0, (to - from - 1) * xRow + width);
        int whole = width - width % L;
        int panel = layout.panel();
        int panels = layout.panels();
        int pitch = layout.panelPitch();
        MemorySegment us = part(u, 0, panels * pitch);
        MemorySegment ys = part(y, 0, panels * pitch);
        for (int t = from; t < to; t++) {
            FloatVector w = FloatVector.broadcast(S, weights[t]);
            FloatVector d = FloatVector.broadcast(S, direct[t]);
            int row = (t - from) * xRow;
            for (int p = 0; p < panels; p++) {
                int at = p * pitch + t * panel;
                int end = Math.min(panel, whole - p * panel);
                for (int j = 0; j < end; j += L) {
                    FloatVector v = FloatVector.fromMemorySegment(S, xs, (row + p * panel + j) * 4L, LE);
                    v.mul(w).intoMemorySegment(us, (at + j) * 4L, LE);
                    v.mul(d).intoMemorySegment(ys, (at + j) * 4L, LE);
                }
            }
        }
        if (whole < panel * panels) {
            driveRest(layout, xs, xRow, from, to, whole, weights, direct, us, ys);
        }
    }

    private static void driveRest(DualLayout layout, MemorySegment x, int xRow, int from, int to, int whole, float[] weights,
            float[] direct, MemorySegment u, MemorySegment y) {
        for (int t = from; t < to; t++) {
            for (int j = whole; j < layout.panel() * layout.panels(); j++) {
                float v = j < layout.width() ? x.get(F32, ((t - from) * xRow + j) * 4L) : 0;
                u.set(F32, layout.place(t, j) * 4L, v * weights[t]);
                y.set(F32, layout.place(t, j) * 4L, v * direct[t]);
            }
        }
    }

    @Override
    public void scan(int panel, float[] matrices, int at, int from, int to, MemorySegment u, MemorySegment y, int panelAt,
            float[] state, int stateAt, float first, float last) {
        if (panel == W && L == 16) {
            scanWide(matrices, at, from, to, u, y, panelAt, state, stateAt, first, last);
        } else {
            for (int j = 0; j < panel; j += L) {
                scanNarrow(panel, matrices, at, from, to, u, y, panelAt + j, state, stateAt + j, first, last);
            }
        }
    }

    /** Eight states of two vectors. */
    private static void scanWide(float[] m, int at, int from, int to, MemorySegment u, MemorySegment y, int panelAt, float[] state,
            int o, float first, float last) {
        MemorySegment us = part(u, panelAt, to * W);
        MemorySegment ys = part(y, panelAt, to * W);
        FloatVector h00 = FloatVector.fromArray(S, state, o).mul(first);
        FloatVector h01 = FloatVector.fromArray(S, state, o + L).mul(first);
        FloatVector h10 = FloatVector.fromArray(S, state, o + 2 * L).mul(first);
        FloatVector h11 = FloatVector.fromArray(S, state, o + 3 * L).mul(first);
        FloatVector h20 = FloatVector.fromArray(S, state, o + 4 * L).mul(first);
        FloatVector h21 = FloatVector.fromArray(S, state, o + 5 * L).mul(first);
        FloatVector h30 = FloatVector.fromArray(S, state, o + 6 * L).mul(first);
        FloatVector h31 = FloatVector.fromArray(S, state, o + 7 * L).mul(first);
        FloatVector h40 = FloatVector.fromArray(S, state, o + 8 * L).mul(first);
        FloatVector h41 = FloatVector.fromArray(S, state, o + 9 * L).mul(first);
        FloatVector h50 = FloatVector.fromArray(S, state, o + 10 * L).mul(first);
        FloatVector h51 = FloatVector.fromArray(S, state, o + 11 * L).mul(first);
        FloatVector h60 = FloatVector.fromArray(S, state, o + 12 * L).mul(first);
        FloatVector h61 = FloatVector.fromArray(S, state, o + 13 * L).mul(first);
        FloatVector h70 = FloatVector.fromArray(S, state, o + 14 * L).mul(first);
        FloatVector h71 = FloatVector.fromArray(S, state, o + 15 * L).mul(first);
        for (int t = from; t < to; t++) {
            int p = t * W;
            FloatVector u0 = FloatVector.fromMemorySegment(S, us, p * 4L, LE);
            FloatVector u1 = FloatVector.fromMemorySegment(S, us, (p + L) * 4L, LE);
            FloatVector y0 = FloatVector.fromMemorySegment(S, ys, p * 4L, LE);
            FloatVector y1 = FloatVector.fromMemorySegment(S, ys, (p + L) * 4L, LE);
            int q = at + t * 2 * BLOCK;
            FloatVector b0 = FloatVector.broadcast(S, m[q]);
            FloatVector c0 = FloatVector.broadcast(S, m[q + BLOCK]);
            h00 = u0.fma(b0, h00);
            h01 = u1.fma(b0, h01);
            y0 = h00.fma(c0, y0);
            y1 = h01.fma(c0, y1);
            FloatVector b1 = FloatVector.broadcast(S, m[q + 1]);
            FloatVector c1 = FloatVector.broadcast(S, m[q + BLOCK + 1]);
            h10 = u0.fma(b1, h10);
            h11 = u1.fma(b1, h11);
            y0 = h10.fma(c1, y0);
            y1 = h11.fma(c1, y1);
            FloatVector b2 = FloatVector.broadcast(S, m[q + 2]);
            FloatVector c2 = FloatVector.broadcast(S, m[q + BLOCK + 2]);
            h20 = u0.fma(b2, h20);
            h21 = u1.fma(b2, h21);
            y0 = h20.fma(c2, y0);
            y1 = h21.fma(c2, y1);
            FloatVector b3 = FloatVector.broadcast(S, m[q + 3]);
            FloatVector c3 = FloatVector.broadcast(S, m[q + BLOCK + 3]);
            h30 = u0.fma(b3, h30);
            h31 = u1.fma(b3, h31);
            y0 = h30.fma(c3, y0);
            y1 = h31.fma(c3, y1);
            FloatVector b4 = FloatVector.broadcast(S, m[q + 4]);
            FloatVector c4 = FloatVector.broadcast(S, m[q + BLOCK + 4]);
            h40 = u0.fma(b4, h40);
            h41 = u1.fma(b4, h41);
            y0 = h40.fma(c4, y0);
            y1 = h41.fma(c4, y1);
            FloatVector b5 = FloatVector.broadcast(S, m[q + 5]);
            FloatVector c5 = FloatVector.broadcast(S, m[q + BLOCK + 5]);
            h50 = u0.fma(b5, h50);
            h51 = u1.fma(b5, h51);
            y0 = h50.fma(c5, y0);
            y1 = h51.fma(c5, y1);
            FloatVector b6 = FloatVector.broadcast(S, m[q + 6]);
            FloatVector c6 = FloatVector.broadcast(S, m[q + BLOCK + 6]);
            h60 = u0.fma(b6, h60);
            h61 = u1.fma(b6, h61);
            y0 = h60.fma(c6, y0);
            y1 = h61.fma(c6, y1);
            FloatVector b7 = FloatVector.broadcast(S, m[q + 7]);
            FloatVector c7 = FloatVector.broadcast(S, m[q + BLOCK + 7]);
            h70 = u0.fma(b7, h70);
            h71 = u1.fma(b7, h71);
            y0 = h70.fma(c7, y0);
            y1 = h71.fma(c7, y1);
            y0.intoMemorySegment(ys, p * 4L, LE);
            y1.intoMemorySegment(ys, (p + L) * 4L, LE);
        }
        h00.mul(last).intoArray(state, o);
        h01.mul(last).intoArray(state, o + L);
        h10.mul(last).intoArray(state, o + 2 * L);
        h11.mul(last).intoArray(state, o + 3 * L);
        h20.mul(last).intoArray(state, o + 4 * L);
        h21.mul(last).intoArray(state, o + 5 * L);
        h30.mul(last).intoArray(state, o + 6 * L);
        h31.mul(last).intoArray(state, o + 7 * L);
        h40.mul(last).intoArray(state, o + 8 * L);
        h41.mul(last).intoArray(state, o + 9 * L);
        h50.mul(last).intoArray(state, o + 10 * L);
        h51.mul(last).intoArray(state, o + 11 * L);
        h60.mul(last).intoArray(state, o + 12 * L);
        h61.mul(last).intoArray(state, o + 13 * L);
        h70.mul(last).intoArray(state, o + 14 * L);
        h71.mul(last).intoArray(state, o + 15 * L);
    }

    private static void scanNarrow(int panel, float[] m, int at, int from, int to, MemorySegment u, MemorySegment y, int panelAt,
            float[] state, int o, float first, float last) {
        MemorySegment us = part(u, panelAt, (to - 1) * panel + L);
        MemorySegment ys = part(y, panelAt, (to - 1) * panel + L);
        FloatVector h0 = FloatVector.fromArray(S, state, o).mul(first);
        FloatVector h1 = FloatVector.fromArray(S, state, o + panel).mul(first);
        FloatVector h2 = FloatVector.fromArray(S, state, o + 2 * panel).mul(first);
        FloatVector h3 = FloatVector.fromArray(S, state, o + 3 * panel).mul(first);
        FloatVector h4 = FloatVector.fromArray(S, state, o + 4 * panel).mul(first);
        FloatVector h5 = FloatVector.fromArray(S, state, o + 5 * panel).mul(first);
        FloatVector h6 = FloatVector.fromArray(S, state, o + 6 * panel).mul(first);
        FloatVector h7 = FloatVector.fromArray(S, state, o + 7 * panel).mul(first);
        for (int t = from; t < to; t++) {
            FloatVector v = FloatVector.fromMemorySegment(S, us, t * panel * 4L, LE);
            FloatVector sum = FloatVector.fromMemorySegment(S, ys, t * panel * 4L, LE);
            int q = at + t * 2 * BLOCK;
            h0 = v.fma(FloatVector.broadcast(S, m[q]), h0);
            sum = h0.fma(FloatVector.broadcast(S, m[q + BLOCK]), sum);
            h1 = v.fma(FloatVector.broadcast(S, m[q + 1]), h1);
            sum = h1.fma(FloatVector.broadcast(S, m[q + BLOCK + 1]), sum);
            h2 = v.fma(FloatVector.broadcast(S, m[q + 2]), h2);
            sum = h2.fma(FloatVector.broadcast(S, m[q + BLOCK + 2]), sum);
            h3 = v.fma(FloatVector.broadcast(S, m[q + 3]), h3);
            sum = h3.fma(FloatVector.broadcast(S, m[q + BLOCK + 3]), sum);
            h4 = v.fma(FloatVector.broadcast(S, m[q + 4]), h4);
            sum = h4.fma(FloatVector.broadcast(S, m[q + BLOCK + 4]), sum);
            h5 = v.fma(FloatVector.broadcast(S, m[q + 5]), h5);
            sum = h5.fma(FloatVector.broadcast(S, m[q + BLOCK + 5]), sum);
            h6 = v.fma(FloatVector.broadcast(S, m[q + 6]), h6);
            sum = h6.fma(FloatVector.broadcast(S, m[q + BLOCK + 6]), sum);
            h7 = v.fma(FloatVector.broadcast(S, m[q + 7]), h7);
            sum = h7.fma(FloatVector.broadcast(S, m[q + BLOCK + 7]), sum);
            sum.intoMemorySegment(ys, t * panel * 4L, LE);
        }
        h0.mul(last).intoArray(state, o);
        h1.mul(last).intoArray(state, o + panel);
        h2.mul(last).intoArray(state, o + 2 * panel);
        h3.mul(last).intoArray(state, o + 3 * panel);
        h4.mul(last).intoArray(state, o + 4 * panel);
        h5.mul(last).intoArray(state, o + 5 * panel);
        h6.mul(last).intoArray(state, o + 6 * panel);
        h7.mul(last).intoArray(state, o + 7 * panel);
    }

    @Override
    public void carry(int panel, float[] matrices, int at, int from, int to, MemorySegment u, int panelAt, float[] state,
            int stateAt, float first, float last) {
        for (int j = 0; j < panel; j += L) {
            carryNarrow(panel, matrices, at, from, to, u, panelAt + j, state, stateAt + j, first, last);
        }
    }

    private static void carryNarrow(int panel, float[] m, int at, int from, int to, MemorySegment u, int panelAt, float[] state, int o,
            float first, float last) {
        MemorySegment us = part(u, panelAt, (to - 1) * panel + L);
        FloatVector h0 = FloatVector.fromArray(S, state, o).mul(first);
        FloatVector h1 = FloatVector.fromArray(S, state, o + panel).mul(first);
        FloatVector h2 = FloatVector.fromArray(S, state, o + 2 * panel).mul(first);
        FloatVector h3 = FloatVector.fromArray(S, state, o + 3 * panel).mul(first);
        FloatVector h4 = FloatVector.fromArray(S, state, o + 4 * panel).mul(first);
        FloatVector h5 = FloatVector.fromArray(S, state, o + 5 * panel).mul(first);
        FloatVector h6 = FloatVector.fromArray(S, state, o + 6 * panel).mul(first);
        FloatVector h7 = FloatVector.fromArray(S, state, o + 7 * panel).mul(first);
        for (int t = from; t < to; t++) {
            FloatVector v = FloatVector.fromMemorySegment(S, us, t * panel * 4L, LE);
            int q = at + t * 2 * BLOCK;
            h0 = v.fma(FloatVector.broadcast(S, m[q]), h0);
            h1 = v.fma(FloatVector.broadcast(S, m[q + 1]), h1);
            h2 = v.fma(FloatVector.broadcast(S, m[q + 2]), h2);
            h3 = v.fma(FloatVector.broadcast(S, m[q + 3]), h3);
            h4 = v.fma(FloatVector.broadcast(S, m[q + 4]), h4);
            h5 = v.fma(FloatVector.broadcast(S, m[q + 5]), h5);
            h6 = v.fma(FloatVector.broadcast(S, m[q + 6]), h6);
            h7 = v.fma(FloatVector.broadcast(S, m[q + 7]), h7);
        }
        h0.mul(last).intoArray(state, o);
        h1.mul(last).intoArray(state, o + panel);
        h2.mul(last).intoArray(state, o + 2 * panel);
        h3.mul(last).intoArray(state, o + 3 * panel);
        h4.mul(last).intoArray(state, o + 4 * panel);
        h5.mul(last).intoArray(state, o + 5 * panel);
        h6.mul(last).intoArray(state, o + 6 * panel);
        h7.mul(last).intoArray(state, o + 7 * panel);
    }

    @Override
    public void emit(DualLayout layout, MemorySegment y, float[] factors, int from, int to, MemorySegment out, int outRow) {
        int width = layout.width();
        MemorySegment o = part(out, 0, (to - from - 1) * outRow + width);
        int whole = width - width % L;
        int panel = layout.panel();
        int panels = layout.panels();
        int pitch = layout.panelPitch();
        MemorySegment ys = part(y, 0, panels * pitch);
        for (int t = from; t < to; t++) {
            FloatVector f = FloatVector.broadcast(S, factors[t]);
            int row = (t - from) * outRow;
            for (int p = 0; p < panels; p++) {
                int at = p * pitch + t * panel;
                int end = Math.min(panel, whole - p * panel);
                for (int j = 0; j < end; j += L) {
                    FloatVector.fromMemorySegment(S, ys, (at + j) * 4L, LE).mul(f).intoMemorySegment(o, (row + p * panel + j) * 4L, LE);
                }
            }
            for (int j = whole; j < width; j++) {
                o.set(F32, (row + j) * 4L, ys.get(F32, layout.place(t, j) * 4L) * factors[t]);
            }
        }
    }

    @Override
    public void step(int width, int states, MemorySegment before, MemorySegment after, float decay, float step, MemorySegment x,
            MemorySegment b, MemorySegment c, float skip, MemorySegment y) {
        // a fresh state is multiplied by nothing: whatever lies in its memory, zero goes in
        MemorySegment from = before == null ? after.fill((byte) 0) : before;
        int whole = states - states % L;
        for (int p = 0; p < width; p++) {
            float in = x.get(F32, p * 4L);
            float drive = step * in;
            int row = p * states;
            FloatVector sum = FloatVector.zero(S);
            for (int n = 0; n < whole; n += L) {
                FloatVector input = FloatVector.fromMemorySegment(S, b, n * 4L, LE).mul(drive);
                FloatVector h = FloatVector.fromMemorySegment(S, from, (row + n) * 4L, LE).fma(FloatVector.broadcast(S, decay), input);
                h.intoMemorySegment(after, (row + n) * 4L, LE);
                sum = h.fma(FloatVector.fromMemorySegment(S, c, n * 4L, LE), sum);
            }
            float rest = 0;
            for (int n = whole; n < states; n++) {
                float h = Math.fma(decay, from.get(F32, (row + n) * 4L), drive * b.get(F32, n * 4L));
                after.set(F32, (row + n) * 4L, h);
                rest = Math.fma(h, c.get(F32, n * 4L), rest);
            }
            y.set(F32, p * 4L, LaneSum.of(sum) + rest + skip * in);
        }
    }
}
