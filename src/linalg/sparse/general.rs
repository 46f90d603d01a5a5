//! Sparse LU with row exchanges anywhere, by faer: for matrices without usable pivots near the diagonal.

use crate::error::{Error, Result};
use crate::linalg::Pattern;
use crate::linalg::direct::singular;
use crate::num::Real;
use faer::dyn_stack::{MemBuffer, MemStack, StackReq};
use faer::sparse::linalg::LuError;
use faer::sparse::linalg::lu::{LuRef, LuSymbolicParams, NumericLu, SymbolicLu, factorize_symbolic_lu};
use faer::sparse::{SparseColMatRef, SymbolicSparseColMatRef};
use faer::{Conj, MatMut, Par};

/// P A Q = L U with partial pivoting. The rows of a CSR matrix are given to faer as columns, so that
/// it factors Aᵀ and the two solves change places.
#[derive(Clone, Debug)]
pub(super) struct GeneralLu<T: Real> {
    n: usize,
    starts: Vec<u32>,
    indices: Vec<u32>,
    symbolic: SymbolicLu<u32>,
    numeric: NumericLu<u32, T::Field>,
}

impl<T: Real> GeneralLu<T> {
    pub fn new(pattern: &Pattern) -> Result<Self> {
        let n = pattern.rows();
        let starts: Vec<u32> = pattern.row_starts().iter().map(|&s| s as u32).collect();
        let indices = pattern.columns().to_vec();
        let a = SymbolicSparseColMatRef::new_checked(n, n, &starts, None, &indices);
        let failed = |e| Error::invalid("the pattern to factor", format!("{e:?}"), "it must fit into memory");
        let symbolic = factorize_symbolic_lu(a, LuSymbolicParams::default()).map_err(failed)?;
        Ok(Self { n, starts, indices, symbolic, numeric: NumericLu::new() })
    }

    pub fn factor(&mut self, values: &[T]) -> Result<()> {
        let symbolic =
            SymbolicSparseColMatRef::new_checked(self.n, self.n, &self.starts, None, &self.indices);
        let a = SparseColMatRef::new(symbolic, T::field(values));
        let request = self.symbolic.factorize_numeric_lu_scratch::<T::Field>(Par::Seq, Default::default());
        let mut memory = MemBuffer::new(request);
        let stack = MemStack::new(&mut memory);
        let done =
            self.symbolic.factorize_numeric_lu(&mut self.numeric, a, Par::Seq, stack, Default::default());
        match done {
            Ok(_) => self.probe(),
            Err(LuError::SymbolicSingular { index }) => Err(singular("the sparse LU", index, 0.0)),
            Err(e) => Err(Error::invalid("the sparse LU", format!("{e:?}"), "it must fit into memory")),
        }
    }

    /// faer divides by zero pivots: a solve that is not finite shows them.
    fn probe(&mut self) -> Result<()> {
        let mut ones = vec![T::one(); self.n];
        self.solve(&mut ones);
        match ones.iter().find(|v| !v.is_finite()) {
            None => Ok(()),
            Some(v) => {
                let needed = "no pivot may be 0: the matrix is singular, or its entries overflow";
                Err(Error::invalid("the solution of a probe with the sparse LU", v, needed))
            }
        }
    }

    fn with(
        &mut self,
        x: &mut [T],
        solve: impl FnOnce(LuRef<'_, u32, T::Field>, MatMut<'_, T::Field>, &mut MemStack),
    ) {
        let plain = self.symbolic.solve_in_place_scratch::<T::Field>(1, Par::Seq);
        let turned = self.symbolic.solve_transpose_in_place_scratch::<T::Field>(1, Par::Seq);
        let mut memory = MemBuffer::new(StackReq::any_of(&[plain, turned]));
        let lu = LuRef::new_unchecked(&self.symbolic, &self.numeric);
        let x = MatMut::from_column_major_slice_mut(T::field_mut(x), self.n, 1);
        solve(lu, x, MemStack::new(&mut memory));
    }

    pub fn solve(&mut self, x: &mut [T]) {
        self.with(x, |lu, x, stack| lu.solve_transpose_in_place_with_conj(Conj::No, x, Par::Seq, stack));
    }

    pub fn solve_transpose(&mut self, x: &mut [T]) {
        self.with(x, |lu, x, stack| lu.solve_in_place_with_conj(Conj::No, x, Par::Seq, stack));
    }
}
