package dev.sequent.ssm.s4;

import static org.assertj.core.api.Assertions.assertThat;

import org.apache.commons.math3.complex.Complex;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The HiPPO matrices and their spectrum. */
class HippoTest {
    @Test
    void matricesFollowTheirFormulas() {
        assertThat(Hippo.legsA(3)).isDeepEqualTo(new double[][] {{-1, 0, 0}, {-Math.sqrt(3), -2, 0}, {-Math.sqrt(5), -Math.sqrt(15), -3}});
        assertThat(Hippo.legsB(3)).containsExactly(1, Math.sqrt(3), Math.sqrt(5));
    }

    /**
     * The resolvent B^T (z - A - P P^T)^-1 B from the spectrum equals the one solved with the matrix: eigenvalues and V^H B are right
     * together.
     */
    @ParameterizedTest
    @ValueSource(ints = {2, 4, 8})
    void theSpectrumReproducesTheResolvent(int n) {
        Hippo.Spectrum s = Hippo.legsSpectrum(n);
        for (Complex z : new Complex[] {new Complex(1, 0.5), new Complex(0.3, -4)}) {
            Complex sum = Complex.ZERO;
            for (int i = 0; i < n / 2; i++) {
                double weight = s.b()[i] * s.b()[i];
                sum = sum.add(z.subtract(new Complex(s.re()[i], s.im()[i])).reciprocal().multiply(weight));
                sum = sum.add(z.subtract(new Complex(s.re()[i], -s.im()[i])).reciprocal().multiply(weight));
            }
            Complex direct = resolvent(n, z);
            assertThat(sum.getReal()).isCloseTo(direct.getReal(), Offset.offset(1e-9));
            assertThat(sum.getImaginary()).isCloseTo(direct.getImaginary(), Offset.offset(1e-9));
        }
    }

    private static Complex resolvent(int n, Complex z) {
        double[][] a = Hippo.legsA(n);
        double[] p = Hippo.legsP(n);
        double[] b = Hippo.legsB(n);
        Complex[][] m = new Complex[n][n + 1];
        for (int i = 0; i < n; i++) {
            for (int k = 0; k < n; k++) {
                m[i][k] = new Complex(-a[i][k] - p[i] * p[k]).add(i == k ? z : Complex.ZERO);
            }
            m[i][n] = new Complex(b[i]);
        }
        for (int i = 0; i < n; i++) { // Gauss and Jordan; the matrix is well conditioned for these z
            for (int r = 0; r < n; r++) {
                if (r != i) {
                    Complex f = m[r][i].divide(m[i][i]);
                    for (int k = i; k <= n; k++) {
                        m[r][k] = m[r][k].subtract(f.multiply(m[i][k]));
                    }
                }
            }
        }
        Complex sum = Complex.ZERO;
        for (int i = 0; i < n; i++) {
            sum = sum.add(m[i][n].divide(m[i][i]).multiply(b[i]));
        }
        return sum;
    }
}
