package dev.sequent.ssm.scan;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The loops of the state-space dual along tokens without the Vector API: slow, and always available. */
final class ScalarDualScan implements DualScan {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    private static final int BLOCK = DualLayout.BLOCK;

    private static float at(MemorySegment source, long index) {
        return source.getAtIndex(F32, index);
    }

    @Override
    public void decays(float[] dt, float a, int count, float[] out) {
        for (int i = 0; i < count; i++) {
            out[i] = (float) Math.exp(dt[i] * a);
        }
    }

    @Override
    public void interleave(MemorySegment from, int row, int rows, int states, float[] to, int at, int pitch) {
        for (int t = 0; t < rows; t++) {
            for (int n = 0; n < Math.ceilDiv(states, BLOCK) * BLOCK; n++) {
                to[at + (n / BLOCK * pitch + t) * 2 * BLOCK + n % BLOCK] = n < states ? at(from, t * row + n) : 0;
            }
        }
    }

    @Override
    public void drive(DualLayout layout, MemorySegment x, int xRow, int from, int to, float[] weights, float[] direct,
            MemorySegment u, MemorySegment y) {
        for (int t = from; t < to; t++) {
            for (int j = 0; j < layout.panel() * layout.panels(); j++) {
                float value = j < layout.width() ? at(x, (t - from) * xRow + j) : 0;
                int place = layout.place(t, j);
                u.setAtIndex(F32, place, weights[t] * value);
                y.setAtIndex(F32, place, direct[t] * value);
            }
        }
    }

    @Override
    public void scan(int panel, float[] matrices, int at, int from, int to, MemorySegment u, MemorySegment y, int panelAt,
            float[] state, int stateAt, float first, float last) {
        scale(state, stateAt, panel, first);
        for (int t = from; t < to; t++) {
            for (int j = 0; j < panel; j++) {
                float sum = at(y, panelAt + t * panel + j);
                for (int r = 0; r < DualLayout.ROWS; r++) {
                    sum += matrices[at + t * 2 * BLOCK + BLOCK + r] * advance(matrices, at, t, r, at(u, panelAt + t * panel + j), state,
                            stateAt + r * panel + j);
                }
                y.setAtIndex(F32, panelAt + t * panel + j, sum);
            }
        }
        scale(state, stateAt, panel, last);
    }

    @Override
    public void carry(int panel, float[] matrices, int at, int from, int to, MemorySegment u, int panelAt, float[] state,
            int stateAt, float first, float last) {
        scale(state, stateAt, panel, first);
        for (int t = from; t < to; t++) {
            for (int j = 0; j < panel; j++) {
                for (int r = 0; r < DualLayout.ROWS; r++) {
                    advance(matrices, at, t, r, at(u, panelAt + t * panel + j), state, stateAt + r * panel + j);
                }
            }
        }
        scale(state, stateAt, panel, last);
    }

    private static float advance(float[] matrices, int at, int t, int r, float u, float[] state, int place) {
        state[place] += matrices[at + t * 2 * BLOCK + r] * u;
        return state[place];
    }

    private static void scale(float[] state, int at, int panel, float factor) {
        for (int i = at; i < at + DualLayout.ROWS * panel; i++) {
            state[i] *= factor;
        }
    }

    @Override
    public void emit(DualLayout layout, MemorySegment y, float[] factors, int from, int to, MemorySegment out, int outRow) {
        for (int t = from; t < to; t++) {
            for (int j = 0; j < layout.width(); j++) {
                out.setAtIndex(F32, (t - from) * outRow + j, factors[t] * at(y, layout.place(t, j)));
            }
        }
    }

    @Override
    public void step(int width, int states, MemorySegment before, MemorySegment after, float decay, float step, MemorySegment x,
            MemorySegment b, MemorySegment c, float skip, MemorySegment y) {
        for (int p = 0; p < width; p++) {
            float drive = step * at(x, p);
            float sum = 0;
            for (int n = 0; n < states; n++) {
                int i = p * states + n;
                float h = (before == null ? 0 : decay * at(before, i)) + drive * at(b, n);
                after.setAtIndex(F32, i, h);
                sum += h * at(c, n);
            }
            y.setAtIndex(F32, p, sum + skip * at(x, p));
        }
    }
}
